"""How shards are dealt to jobs: a job for each (the product's Distributed Map), or long jobs that take them from SQS.

The queue exists here alone, to be measured: docs/decisions/0135.
"""
