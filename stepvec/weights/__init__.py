"""Trained weights: where they come from, how their files are read, and the model directory made of them.

Needs numpy only. Neither MXNet nor torch is imported, so that `stepvec weights` runs where neither is installed.
"""
