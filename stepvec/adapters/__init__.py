"""What talks to AWS: the only modules beside the CLI that hold boto3 clients."""
