"""Jobs that take shards from a queue until it is empty: the benchmark's, in the worker's environment or in a thread.

    python -m bench.dealing.job --queue URL --shards URI --index N      with the worker's own network

Index 0 puts the shards into the queue first: in a product a function would, so that a second start of job 0 did not
send them again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import boto3
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import open_shard

from bench.dealing.shard_queue import held, send_shards, take_shards
from bench.dealing.shard_work import Network, ShardWork, work_on
from stepvec import codec
from stepvec.adapters.clients import s3_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.runs.layout import S3Uri, parse_shard_uri
from stepvec.runs.steps import ShardEntry

DEALT: Final = "dealt.json"
"""Beside shards.json once all shards are in the queue."""


@dataclass(frozen=True, slots=True)
class QueueJob:
    """One of the jobs: its number, the queue, and the URI of shards.json."""

    queue: str
    shards: str
    index: int

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> QueueJob:
        """By the job's arguments."""
        parser = argparse.ArgumentParser(prog="bench.dealing.job")
        parser.add_argument("--queue", required=True)
        parser.add_argument("--shards", required=True)
        parser.add_argument("--index", type=int, required=True)
        return cls(**vars(parser.parse_args(arguments)))

    def run(self, sqs: Any, store: ObjectStore, settings: Settings, new_work: Callable[[str], ShardWork]) -> None:
        """Work on shards until there are no more; the work is made once, of the first shard's URI."""
        shards = S3Uri.parse(self.shards)
        dealt = S3Uri(shards.bucket, shards.key.replace("shards.json", DEALT))
        if self.index == 0:
            with store.open(shards) as stream:
                entries = codec.from_json(list[ShardEntry], stream.read(), where=str(shards))
            send_shards(sqs, self.queue, [entry.uri for entry in entries])
            store.write(dealt, b"{}")
        work: ShardWork | None = None
        for uri, receipt in take_shards(sqs, self.queue, partial(store.exists, dealt)):
            # Kept from shard to shard: that is what the queue is for.
            work = work or new_work(uri)
            with held(sqs, self.queue, receipt):
                work_on(store, settings, uri, work)


def main() -> None:
    """Run the job; an error ends it, as it would end the worker."""
    settings = read_environment(Settings, os.environ)
    store = ObjectStore(s3_client(connections=1))

    def new_work(uri: str) -> ShardWork:
        layout, _ = parse_shard_uri(uri)
        with store.open(S3Uri.parse(uri)) as stream, open_shard(stream, uri) as shard_file:
            return Network(settings, layout.run, shard_file)

    sqs = boto3.client("sqs", region_name=os.environ["AWS_REGION"])
    QueueJob.parse().run(sqs, store, settings, new_work)


if __name__ == "__main__":
    main()
