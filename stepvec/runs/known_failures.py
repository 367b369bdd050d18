"""What earlier runs over the same paths could not embed, for reasons that last: looked up in any number, in no memory.

A file is a header and, sorted, a record of RECORD_BYTES for each image: a digest of its key and ETag, and its reason.
A record is found by bisection. A new worker may read what the one before it could not: the worker's version is in the
header, and what another version found does not count.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Final

from stepvec.runs.layout import KNOWN_FAILURES, REPAIRS, UPLOADS, S3Uri
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.run_input import RunInput

LASTING_REASONS: Final = frozenset(
    {
        FailureReason.EMPTY,
        FailureReason.NOT_AN_IMAGE,
        FailureReason.UNSUPPORTED,
        FailureReason.TRUNCATED,
        FailureReason.DAMAGED,
        FailureReason.TOO_LARGE,
        FailureReason.DECODER_CRASHED,
    }
)
"""Reasons that lie in the object's bytes: the same worker finds the same. Not TimedOut, which a busy host can cause."""

_DIGEST_BYTES: Final = 15
RECORD_BYTES: Final = _DIGEST_BYTES + 1
HEADER_BYTES: Final = 1024


def known_failures_uri(work_bucket: str, run_input: RunInput) -> S3Uri | None:
    """Where what is known of the input's paths lies, or of its manifest, beside the runs.

    None where no later run could ask for it: each batch of uploads and each repair has a manifest of its own.
    """
    manifest = run_input.manifest
    if manifest and manifest.bucket == work_bucket and manifest.key.startswith((UPLOADS, REPAIRS)):
        return None
    paths = [sorted(run_input.prefixes), str(manifest)]
    scope = hashlib.sha256(json.dumps(paths).encode()).hexdigest()
    return S3Uri(work_bucket, f"{KNOWN_FAILURES}{scope}.bin")


def record_of(failure: ImageFailure) -> bytes | None:
    """The record of a failure; None of one whose reason may pass, or whose ETag is not known."""
    if not failure.etag or failure.reason not in LASTING_REASONS:
        return None
    return _digest(failure.key, failure.etag) + struct.pack("B", _REASONS.index(failure.reason))


def dump_known(records: Iterable[bytes], *, worker: str) -> Iterator[bytes]:
    """The file of sorted `records` that `worker` found, in pieces; of equal ones it has one."""
    header = json.dumps({"worker": worker, "reasons": [reason.value for reason in _REASONS]}).encode()
    yield header.ljust(HEADER_BYTES)
    last = b""
    for record in records:
        if record[:_DIGEST_BYTES] != last:
            last = record[:_DIGEST_BYTES]
            yield record


class KnownFailures:
    """A file of known failures, which can be sought in. In one of another worker, or a broken one, nothing is known."""

    def __init__(self, stream: IO[bytes], *, worker: str) -> None:
        self._stream = stream
        self._count = 0
        self._reasons: list[FailureReason] = []
        size = stream.seek(0, 2)
        stream.seek(0)
        try:
            header = json.loads(stream.read(HEADER_BYTES))
            if header["worker"] == worker:
                self._reasons = [FailureReason(name) for name in header["reasons"]]
                self._count = (size - HEADER_BYTES) // RECORD_BYTES
        except (ValueError, KeyError, TypeError):
            # It only saves work, and the end of this run writes it again.
            return

    def reason(self, key: str, etag: str) -> FailureReason | None:
        """Why the image failed before; None where nothing is known of it."""
        wanted = _digest(key, etag)
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            record = self._record(middle)
            if record[:_DIGEST_BYTES] == wanted:
                return self._reasons[record[_DIGEST_BYTES]]
            if record < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def _record(self, number: int) -> bytes:
        self._stream.seek(HEADER_BYTES + number * RECORD_BYTES)
        return self._stream.read(RECORD_BYTES)


_REASONS: Final = tuple(FailureReason)


def _digest(key: str, etag: str) -> bytes:
    # An ETag has no line break, so no other pair gives the same text.
    return hashlib.blake2b(f"{etag}\n{key}".encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
