"""The supervisor, its embedding processes, and what passes between them."""
