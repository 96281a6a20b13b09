"""Eviction policies, one a file: the file's name is the option's value.

`base.py` is the contract. A policy decides which resident leaves when the
store is over its budget; it never sees a value, a socket or a clock of its own.
"""
