"""Stepvec: images in S3 become verified vectors in DynamoDB.

`rows`, `runs` and `estimate` are the pure core: no boto3, no file, no environment. `adapters` holds boto3, `weights`
reads weights files, `client` is the Python API of a deployed pipeline, `audit` holds its table against its bucket.
"""
