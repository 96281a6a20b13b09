"""Backing databases, one a file: `base.py` is the contract, `sources.py` maps keys to rows.

A backing's driver is imported only when its URL is chosen.
"""
