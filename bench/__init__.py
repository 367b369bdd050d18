"""Benchmarks: each runs the real thing, prints a table, and writes it into docs/performance.md."""
