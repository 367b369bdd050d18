"""A whole table held against a whole bucket."""
