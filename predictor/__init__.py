"""Prediction: which keys will be asked next, and with what probability.

One family of evidence a file (`misslog.py` ...), the calibration of their
scores, and the trainer, a process of its own. Nothing here touches the store,
a socket of a client, or a backing database: predictors return keys.
"""
