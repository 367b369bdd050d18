"""Names of objects, and what S3 answers about them: through ListImages' own handler and the worker's own fetcher.

S3 is the storage stand-in; a proxy before it refuses, in S3's words, the objects whose names say so.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, quote_plus

from stepvec_worker.images.fetching import ImageFetcher
from stepvec_worker.images.rejection import ImageRejected

from resilience.faults.aws_errors import s3_error
from resilience.faults.proxy import Exchange, FaultProxy
from resilience.field.kind import Kind, jpeg
from stepvec.adapters.clients import s3_client
from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError, StorageError
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import ListedImage, ShardImage, read_listing
from testkit.storage.client import WORK_BUCKET, Storage, running_storage

_FETCHED: Final = "fetched"
_KEY: Final = "arn:aws:kms:eu-west-1:111122223333:key/1"
_REFUSALS: Final[Mapping[str, tuple[int, str, str]]] = {
    "sse-c": (
        400,
        "InvalidRequest",
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.",
    ),
    "kms-pending": (
        400,
        "KMS.KMSInvalidStateException",
        "arn:aws:kms:eu-west-1:111122223333:key/1 is pending deletion.",
    ),
    "kms-gone": (400, "KMS.NotFoundException", "Key 'arn:aws:kms:eu-west-1:111122223333:key/1' does not exist"),
    "kms-disabled": (400, "KMS.DisabledException", "arn:aws:kms:eu-west-1:111122223333:key/1 is disabled."),
    "archived": (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
    "denied": (403, "AccessDenied", "Access Denied"),
    "skewed": (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    ),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
}
"""What S3 answers about an object of this name: status, code, message."""


class _Refuser:
    """Refuses GET and HEAD of the objects in _REFUSALS; lets everything else pass."""

    def handle(self, exchange: Exchange) -> None:
        """As Handler.handle."""
        refusal = _REFUSALS.get(PurePosixPath(exchange.request.path).stem)
        if refusal and exchange.method in ("GET", "HEAD"):
            exchange.answer(s3_error(*refusal, method=exchange.method))
        else:
            exchange.answer(exchange.forward())


@dataclass(slots=True)
class Bucket:
    """A bucket of one kind's own, listed and read as a run does it."""

    name: str
    storage: Storage

    def put(self, key: str, body: bytes, *, storage_class: str = "") -> None:
        """Write an object."""
        headers = {"x-amz-storage-class": storage_class} if storage_class else {}
        self.storage.put(self.name, quote(key, safe="/"), body, headers)

    def manifest(self, lines: Sequence[Any]) -> str:
        """Write a manifest of JSON Lines; its URI."""
        body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self.storage.put(WORK_BUCKET, f"{self.name}.jsonl", body)
        return f"s3://{WORK_BUCKET}/{self.name}.jsonl"

    def inventory(self, keys: Sequence[str]) -> str:
        """Write an S3 Inventory in CSV, as S3 encodes keys in it; its URI."""
        body = "".join(f'"{self.name}","{quote_plus(key)}"\n' for key in keys).encode()
        self.storage.put(WORK_BUCKET, f"{self.name}/1.csv.gz", gzip.compress(body))
        manifest = {
            "sourceBucket": self.name,
            "destinationBucket": f"arn:aws:s3:::{WORK_BUCKET}",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key",
            "files": [{"key": f"{self.name}/1.csv.gz"}],
        }
        self.storage.put(WORK_BUCKET, f"{self.name}/manifest.json", json.dumps(manifest).encode())
        return f"s3://{WORK_BUCKET}/{self.name}/manifest.json"

    def run(self, run_input: Mapping[str, Any]) -> str:
        """List and fetch: `fetched 2, ignored 1 heic`, or what is said against the input."""
        handler: Any = importlib.import_module("lambdas.list_images.handler")
        handler.settings = replace(handler.settings, image_bucket=self.name)
        event: dict[str, Any] = {"run": self.name, "started": "2026-11-26T00:00:00Z", "input": dict(run_input)}
        try:
            while not event.get("done"):
                event = handler.handle(event, _Context())
        except InvalidInputError as error:
            return f"refused: {error}"
        outcomes = Counter(self._fetch(image) for image in self._listed())
        ignored = event["counts"]["ignored_by_suffix"]
        parts = [f"{outcome} {count}" for outcome, count in sorted(outcomes.items())]
        parts += [f"ignored {count} {suffix}" for suffix, count in sorted(ignored.items())]
        return ", ".join(parts)

    def _listed(self) -> Iterator[ListedImage]:
        store, layout, number = ObjectStore(s3_client()), RunLayout(WORK_BUCKET, self.name), 0
        while store.exists(uri := layout.listing(number)):
            with store.open(uri) as stream:
                yield from read_listing(stream, where=str(uri))
            number += 1

    def _fetch(self, image: ListedImage) -> str:
        if image.refused is not None:
            return str(image.refused.reason)
        fetcher = ImageFetcher(s3_client(), self.name, max_bytes=10**8, sleep=lambda _: None)
        try:
            fetcher.fetch(shard_image(image))
        except ImageRejected as rejected:
            return str(rejected.reason)
        except StorageError:
            return "the attempt fails"
        return _FETCHED


def shard_image(image: ListedImage) -> ShardImage:
    """As ShardImages writes it."""
    return ShardImage(image.key, image.size, image.etag, image.key)


class _Context:
    """What the handler asks of Lambda."""

    function_name = "field"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:field"
    aws_request_id = "field"

    def get_remaining_time_in_millis(self) -> int:
        """Enough."""
        return 900_000


@contextmanager
def storage() -> Iterator[Storage]:
    """The stand-in, and the environment with which boto3, the handler and the fetcher find it."""
    with running_storage() as running:
        proxy = FaultProxy(running.endpoint, _Refuser(), lambda _: "")
        os.environ |= running.environment | {
            "AWS_ENDPOINT_URL": proxy.url,
            "STEPVEC_IMAGE_BUCKET": "field",
            "STEPVEC_WORK_BUCKET": WORK_BUCKET,
            "STEPVEC_SHARD_SIZE": "5000",
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "POWERTOOLS_METRICS_DISABLED": "true",
            "POWERTOOLS_METRICS_NAMESPACE": "field",
        }
        try:
            yield running
        finally:
            proxy.close()


@dataclass(frozen=True, slots=True)
class Objects:
    """A kind of names or answers: what lies in the bucket, how the run names it, and the right outcome."""

    name: str
    source: str
    outcome: str
    keys: Sequence[str]
    how: Mapping[str, Any] = frozenset()  # type: ignore[assignment] # {"Paths": ["images"]} if it is not said


def kinds(running: Storage) -> Iterator[Kind]:
    """All kinds of names and answers."""
    for number, objects in enumerate(KINDS):
        yield Kind(objects.name, objects.source, objects.outcome, _meeting(objects, Bucket(f"field-{number}", running)))


def _meeting(objects: Objects, bucket: Bucket) -> Any:
    def meet() -> str:
        for key in objects.keys:
            storage_class = GLACIER if PurePosixPath(key).stem == GLACIER else ""
            bucket.put(key, b"" if key.endswith("/") else jpeg(), storage_class=storage_class)
        how = dict(objects.how) or {"Paths": ["images"]}
        if "manifest" in how:
            how = {"Manifest": bucket.manifest([str(line).replace("BUCKET", bucket.name) for line in how["manifest"]])}
        elif "inventory" in how:
            how = {"Manifest": bucket.inventory(objects.keys)}
        return bucket.run(how)

    return meet


GLACIER: Final = "GLACIER"
"""The storage class of an object with this name, and the name of an object of this class."""
ODD: Final = (
    "images/a b.jpg",
    "images/a+b.jpg",
    "images/50%.jpg",
    "images/a=b&c.jpg",
    "images/#1?.jpg",
    "images/a~(1)!'.jpg",
)

KINDS: Final = (
    Objects("names with spaces, + % = & # ?", "peak/s5cmd#279", "fetched 6", ODD),
    Objects("the same names in an S3 Inventory", "bcgov/gwells#1801", "fetched 6", ODD, {"inventory": True}),
    Objects("one umlaut in two forms (NFC, NFD)", "aws/aws-cli#1639", "fetched 2",
            ("images/caf\u00e9.jpg", "images/cafe\u0301.jpg")),
    Objects("suffix in capitals", "open-edge-platform/anomalib#3058", "fetched 2", ("images/A.JPG", "images/b.Png")),
    Objects("placeholder of a folder", "mlflow/mlflow#25137", "fetched 1, ignored 1 (none)",
            ("images/", "images/a.jpg")),
    Objects("object encrypted by a key of the customer's own (SSE-C)", "boto/boto3#1482", "Unreadable 1, fetched 1",
            ("images/a.jpg", "images/sse-c.jpg")),
    Objects("the same, named by a manifest", "boto/boto3#1482", "Unreadable 1, fetched 1",
            ("images/a.jpg", "images/sse-c.jpg"), {"manifest": ["images/a.jpg", "images/sse-c.jpg"]}),
    Objects("object whose KMS key is to be deleted", "localstack/localstack#8422", "Unreadable 1, fetched 1",
            ("images/a.jpg", "images/kms-pending.jpg")),
    Objects("object whose KMS key is gone", "localstack/localstack#8422", "Unreadable 1, fetched 1",
            ("images/a.jpg", "images/kms-gone.jpg")),
    Objects("object in Glacier", "aws/aws-cli#4039", "Archived 1, fetched 1",
            ("images/a.jpg", "images/archived.jpg")),
    Objects("key of a manifest that the bucket does not have", "generalui/s3p#53", "NotFound 1, fetched 1",
            ("images/a.jpg",), {"manifest": ["images/a.jpg", "images/gone.jpg"]}),
    Objects("suffixes of JPEG, BMP and PNG that browsers and Windows give", "sylikc/jpegview#168", "fetched 4",
            ("images/a.jfif", "images/b.jpe", "images/c.dib", "images/d.apng")),
    Objects("rest of a URL behind the suffix", "krau/SaveAny-Bot#243", "fetched 2",
            ("images/a.jpg?v=2", "images/b.png:large")),
    Objects("what macOS puts beside its files", "guardian/giant#380", "fetched 1, ignored 2 (AppleDouble)",
            ("images/a.jpg", "images/._a.jpg", "images/__MACOSX/a.jpg")),
    Objects("photos of an iPhone (.HEIC)", "photoprism/photoprism#3705", "fetched 2",
            ("images/a.HEIC", "images/b.heif")),
    Objects("films and sidecars between the photos", "nextcloud/photos#313", "fetched 1, ignored 1 aae, ignored 1 mov",
            ("images/a.jpg", "images/a.MOV", "images/a.aae")),
    Objects("keys without a suffix, all of them asked for", "bcoe/thumbd#30", "fetched 2",
            ("images/0a1b2c", "images/9f8e7d"), {"Paths": ["images"], "Suffixes": ["*"]}),
    Objects("keys without a suffix, named by a manifest", "lrsjng/h5ai#770", "fetched 1",
            ("images/0a1b2c",), {"manifest": ["images/0a1b2c"]}),
    Objects("manifest of S3 URIs", "liormizr/s3path#156", "fetched 1",
            ("images/a.jpg",), {"manifest": ["s3://BUCKET/images/a.jpg"]}),
    Objects("keys that begin with a slash", "peak/s5cmd#352", "fetched 1",
            ("/images/a.jpg", "images/b.jpg"), {"Paths": ["/images"]}),
    Objects("a path that is one object", "Unidata/thredds#261", "fetched 1",
            ("images/a.jpg", "images/b.jpg"), {"Paths": ["images/a.jpg"]}),
    Objects("object in Glacier by its listing, read by nobody", "aws/aws-cli#748", "Archived 1, fetched 1",
            ("images/a.jpg", "images/GLACIER.jpg")),
)  # fmt: skip
