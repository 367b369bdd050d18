"""IAM as AWS evaluates it, for the calls that the pipeline makes."""
