"""The worker's storage: the shard file it reads and the rows it writes."""
