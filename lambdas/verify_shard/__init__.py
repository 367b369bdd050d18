"""VerifyShard: counts a shard's rows in DynamoDB, by key, with the right ETag and Model."""
