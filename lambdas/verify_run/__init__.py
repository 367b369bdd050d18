"""VerifyRun: adds up the shards' counts, writes failures.jsonl and report.json, says whether the run is complete."""
