"""The pipeline's Lambda functions, one folder each: `handler.py` is the entry, the rest its pure part."""
