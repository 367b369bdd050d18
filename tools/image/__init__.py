"""Builds and tries the container image of the worker: `make image`, docs/image.md."""
