"""A stand-in for S3 and DynamoDB that costs little: the bench measures the worker, not its storage.

One process of its own, on 127.0.0.1. It answers the requests that the worker and its peers send, ignores signatures,
keeps the rows so that they can be checked, and counts its own CPU. Whatever it does not know it refuses.
"""
