"""The worker that runs in AWS Batch: one shard of images to rows of vectors."""
