"""Time and cost of a run: planned before it, actual after it. Pure arithmetic."""
