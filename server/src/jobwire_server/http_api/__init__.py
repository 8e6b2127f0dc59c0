"""
The HTTP door: aiohttp's server, and nothing of its framework.

A request goes connection.py (limits and deadlines of a socket) -> pipeline.py (who asks, may they, what failed) ->
handlers.py (parse, run, encode). app.py has the route table, door.py the life cycle. Everything that a client can get
back is built in answers.py, so that errors have one shape wherever they arise.
"""
