"""
Bytes to requests and answers to bytes, for both doors.

Rule 1: no I/O, no clock, no randomness, no logging, no async.
Rule 2: this is the only validation; whoever gets a request struct may trust it.
Rule 3: spellings that exist only for RustQueue's clients live in compat.py.
"""
