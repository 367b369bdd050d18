"""The Python API of a deployed pipeline: find it, start runs, wait, read reports and vectors."""
