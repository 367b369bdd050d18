"""Stepvec: images in S3 become verified vectors in DynamoDB.

The modules of this package's first level are the pure core: no boto3, no I/O. `stepvec.adapters` holds
what talks to AWS, `stepvec.cli` the command line.
"""
