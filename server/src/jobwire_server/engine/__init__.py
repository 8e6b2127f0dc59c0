"""
What should happen to a job: pure functions from a job, a request and an instant to a Change.

Rule 1: no I/O, no clock, no randomness, no logging, no async; `now` and `u` are arguments.
Rule 2: every allowed and forbidden move is a row of spec/lifecycle.yaml (`transitions.py` is made from it).
"""
