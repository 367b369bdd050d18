"""Properties that hold for any input, tried on generated ones (Hypothesis)."""
