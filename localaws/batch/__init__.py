"""AWS Batch: jobs as local processes or containers."""
