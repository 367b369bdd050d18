"""Proof under stress: injected faults, hostile files, long runs, removed permissions."""
