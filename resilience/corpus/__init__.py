"""The hostile corpus: images and names that want to break the worker (`make corpus`; docs/reliability.md)."""
