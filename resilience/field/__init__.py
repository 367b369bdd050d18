"""Inputs as people have them: one small generated input a kind, its public source, and the outcome that is right."""
