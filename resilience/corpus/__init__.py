"""The hostile corpus: images and names meant to break the worker (`make corpus`; docs/reliability.md)."""
