"""
The shell between the doors and the store: load if needed, ask the engine what should change, ask the store to make it so,
publish what happened. One function an operation of spec/wire.yaml.
"""
