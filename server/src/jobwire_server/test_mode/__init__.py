"""
Test mode (`jobwire serve --test-mode`, spec/test-mode.md): a clock that stands still and is moved, fail points, reset, snapshot, crash.

    loop, clock → steering ↘
    faults → cutting → http_faults, tcp_faults → rig → control → door
    ids, watching, state ↗

Rule 1: a server without test mode has none of this in its path; app.py puts the parts in place, or does not.
Rule 2: nothing here judges jobs. Time, storage and doors are the server's own; they are only held, watched or cut.
"""
