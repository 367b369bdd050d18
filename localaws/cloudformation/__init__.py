"""Reads a cloud assembly and deploys its stacks."""
