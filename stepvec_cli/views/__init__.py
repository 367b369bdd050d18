"""How plans, runs and reports look in a terminal."""
