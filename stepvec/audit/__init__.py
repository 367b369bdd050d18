"""Compares a whole table with a whole bucket."""
