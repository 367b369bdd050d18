"""ShardImages: gives ids, leaves out what the table already holds, and cuts the rest into balanced shards."""
