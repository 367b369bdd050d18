"""The command line: `stepvec`."""
