"""Where the files of a run lie in the work bucket, and S3 URIs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stepvec.errors import InvalidInputError, RecordError
from stepvec.limits import EXECUTION_NAME_CHARACTERS, KEY_BYTES

_REFUSED_IN_NAMES = re.compile(
    r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]"""
)
_SHARD_KEY = re.compile(r"runs/(?P<run>[^/]+)/shards/(?P<shard>\d+)\.jsonl\.gz")


UPLOADS: Final = "uploads/"
"""Under it in the work bucket lies a manifest for each batch of uploads."""
REPAIRS: Final = "repairs/"
"""Under it lies a manifest for each repair."""
KNOWN_FAILURES: Final = "known-failures/"
"""Under it lies what runs over the same paths could not embed."""


def is_key(text: str) -> bool:
    """Whether `text` can be an S3 key: 1 to 1,024 bytes of UTF-8, which has no lone surrogates as JSON may."""
    try:
        return 0 < len(text.encode()) <= KEY_BYTES
    except UnicodeEncodeError:
        return False


def check_run_name(name: str) -> None:
    """Raises InvalidInputError for a name that Step Functions takes for no execution, or that is no part of a key.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    if not 0 < len(name) <= EXECUTION_NAME_CHARACTERS:
        raise InvalidInputError(
            f"The run's name has {len(name):,} characters.",
            remedy=f"Use 1 to {EXECUTION_NAME_CHARACTERS} letters, digits, - and _.",
        )
    if refused := _REFUSED_IN_NAMES.search(name):
        raise InvalidInputError(
            f"The run's name holds {refused.group()!a}, which Step Functions does not allow.",
            remedy="Use letters, digits, - and _.",
        )


@dataclass(frozen=True, slots=True)
class S3Uri:
    """`s3://bucket/key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> S3Uri:
        """The URI in `text`. Raises InvalidInputError if it is not one."""
        scheme, separator, rest = text.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not separator or not bucket or not is_key(key):
            raise InvalidInputError(f"{text!r:.200} is not an S3 URI.", remedy="Write s3://BUCKET/KEY.")
        return cls(bucket, key)


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The S3 URIs of one run's files (docs/architecture.md lists what each holds)."""

    bucket: str
    run: str

    def _uri(self, name: str) -> S3Uri:
        return S3Uri(self.bucket, f"runs/{self.run}/{name}")

    @property
    def input(self) -> S3Uri:
        """The normalised input of the execution."""
        return self._uri("input.json")

    @property
    def started(self) -> S3Uri:
        """When the execution began that these files are of."""
        return self._uri("started.json")

    def listing(self, number: int) -> S3Uri:
        """Listing file `number`, counted from 0."""
        return self._uri(f"listing/{number}.jsonl.gz")

    def partition(self, number: int, group: int) -> S3Uri:
        """The lines of group `group` of listing files whose image ids fall into partition `number`."""
        return self._uri(f"partitions/{number}/{group}.jsonl.gz")

    def sharding_step(self, number: int) -> S3Uri:
        """What one invocation of ShardImages decided: its shards, counts and refused images."""
        return self._uri(f"sharding/{number}.json")

    def carry(self, number: int) -> S3Uri:
        """The lines that sharding step `number` left for the next one, too few for a shard of their own."""
        return self._uri(f"sharding/{number}-carry.jsonl.gz")

    @property
    def shards(self) -> S3Uri:
        """The array that the Distributed Map reads."""
        return self._uri("shards.json")

    def shard(self, number: int) -> S3Uri:
        """The images of shard `number`."""
        return self._uri(f"shards/{number}.jsonl.gz")

    def progress(self, number: int) -> S3Uri:
        """How far the worker of shard `number` is; written again every few seconds while it works."""
        return self._uri(f"progress/{number}.json")

    def shard_report(self, number: int) -> S3Uri:
        """The worker's report on shard `number`; written last."""
        return self._uri(f"shard-reports/{number}.json")

    def verified(self, number: int) -> S3Uri:
        """What VerifyShard counted of shard `number` in DynamoDB."""
        return self._uri(f"verified/{number}.json")

    @property
    def failures(self) -> S3Uri:
        """One line an image that failed."""
        return self._uri("failures.jsonl")

    @property
    def report(self) -> S3Uri:
        """The run's result."""
        return self._uri("report.json")


def parse_shard_uri(text: str) -> tuple[RunLayout, int]:
    """The run and the number of the shard whose file is at `text`. Raises RecordError for any other URI."""
    uri = S3Uri.parse(text)
    match = _SHARD_KEY.fullmatch(uri.key)
    if match is None:
        raise RecordError(
            f"{text:.200} is not the URI of a shard.",
            remedy="Give the `uri` of an entry of runs/RUN/shards.json.",
        )
    return RunLayout(uri.bucket, match["run"]), int(match["shard"])
