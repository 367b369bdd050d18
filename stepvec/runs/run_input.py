"""The input of an execution: what a user may write, checked once, and its normal form."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from stepvec.errors import InvalidInputError, RecordError
from stepvec.limits import KEY_BYTES
from stepvec.runs.images import ALL_SUFFIXES, IMAGE_SUFFIXES, NO_SUFFIX, ONLY_IMAGES, ImageIdScheme, SuffixRule
from stepvec.runs.layout import S3Uri, is_key

FIELDS: Final = (
    "Paths", "Manifest", "Suffixes", "ImageId", "ShardSize", "Reembed", "RetryFailures", "MaxFailures",
)  # fmt: skip
MAX_SHARD_SIZE: Final = 50_000
"""Most images of a shard: VerifyShard reads one shard's rows in one invocation (500 BatchGetItem calls)."""
MAX_SHARDS: Final = 50_000
"""Most shards of a run: the Map's result has an element for each, `{}` or `null`, and must fit a payload."""
WHOLE_BUCKET: Final = "/"
_SUFFIX: Final = re.compile(r"\*|[^\s/.,*]{1,16}")
_SUFFIXES_EXAMPLE: Final = (
    'Name suffixes beside those of images, such as ["heif", "raw"], "(none)" for keys without one, or "*" for all keys.'
)
SHOWN_CHARACTERS: Final = 80
"""Characters of a wrong value that an error shows: the input may be 256 KiB, an execution's cause 32 KiB."""
_EXAMPLE: Final = 'For example: {"Paths": ["images"]}.'


@dataclass(frozen=True, slots=True)
class RunInput:
    """A checked input. `prefixes` end in "/" (or are "", the whole bucket) and none lies within another.

    `objects` are those of `prefixes` that were written without the "/" at the end: where nothing lies under one, the
    path may be the key of one object.
    """

    image_bucket: str
    prefixes: tuple[str, ...]
    manifest: S3Uri | None
    image_id: ImageIdScheme
    shard_size: int
    reembed: bool
    max_failures: int
    objects: frozenset[str] = frozenset()
    suffixes: SuffixRule = ONLY_IMAGES
    retry_failures: bool = False

    def to_document(self) -> dict[str, Any]:
        """The input in its normal form, itself a valid input of an execution."""
        where = (
            {"Manifest": str(self.manifest)}
            if self.manifest
            else {"Paths": [self._path(prefix) for prefix in self.prefixes]}
        )
        return {
            **where,
            "Suffixes": list(self.suffixes.more),
            "ImageId": self.image_id,
            "ShardSize": self.shard_size,
            "Reembed": self.reembed,
            "RetryFailures": self.retry_failures,
            "MaxFailures": self.max_failures,
        }

    def _path(self, prefix: str) -> str:
        path = prefix.removesuffix("/") if prefix in self.objects else prefix
        # What would be read as another bucket's, or as the whole bucket, is written as a URI.
        return f"s3://{self.image_bucket}/{path}" if "://" in path or path == WHOLE_BUCKET else path or WHOLE_BUCKET


def parse_run_input(
    document: Any,
    *,
    image_bucket: str,
    work_bucket: str,
    default_shard_size: int,
    default_suffixes: SuffixRule = ONLY_IMAGES,
) -> RunInput:
    """The input in `document`. Raises InvalidInputError that names the field and the remedy."""
    if not isinstance(document, Mapping):
        raise InvalidInputError("The input is not a JSON object.", remedy=_EXAMPLE)
    for name in document:
        if name not in FIELDS:
            close = difflib.get_close_matches(str(name)[:SHOWN_CHARACTERS], FIELDS, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise InvalidInputError(
                f"The input has an unknown field {_shown(name)}.", remedy=f"{hint}Fields are {', '.join(FIELDS)}."
            )
    manifest = _manifest(document, buckets=(image_bucket, work_bucket))
    if manifest is None:
        prefixes, objects = _prefixes(document, image_bucket)
    elif "Paths" in document:
        raise InvalidInputError("The input has both Paths and Manifest.", remedy="Give Paths or Manifest, not both.")
    else:
        prefixes, objects = (), frozenset()
    return RunInput(
        image_bucket=image_bucket,
        prefixes=prefixes,
        objects=objects,
        manifest=manifest,
        suffixes=parse_suffixes(document["Suffixes"]) if "Suffixes" in document else default_suffixes,
        image_id=_scheme(document),
        shard_size=_whole_number(document, "ShardSize", default_shard_size, minimum=1, maximum=MAX_SHARD_SIZE),
        reembed=_flag(document, "Reembed"),
        retry_failures=_flag(document, "RetryFailures"),
        max_failures=_whole_number(document, "MaxFailures", 0, minimum=0, maximum=None),
    )


def parse_normal_form(text: bytes, *, where: str) -> RunInput:
    """The input that `to_document` wrote as JSON; `where` names it in the error. Raises RecordError for anything else.

    `image_bucket` is "" where no path had to name it.
    """
    try:
        document = json.loads(text)
        return parse_run_input(
            document,
            image_bucket=next((_bucket_of(path) for path in document.get("Paths", []) if "://" in path), ""),
            work_bucket=_bucket_of(document.get("Manifest", "")),
            default_shard_size=document["ShardSize"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInputError) as error:
        raise RecordError(f"{where} is not the input of a run: {error}.", remedy="Start the run again.") from error


def prefixes_of(paths: list[str], image_bucket: str) -> tuple[str, ...]:
    """`paths` as the `Paths` of an input are read. Raises InvalidInputError."""
    document = {"Paths": paths}
    return parse_run_input(document, image_bucket=image_bucket, work_bucket="", default_shard_size=1).prefixes


def normalise_prefixes(prefixes: list[str]) -> tuple[str, ...]:
    """The prefixes sorted, without those that lie within another, so that no key is listed twice."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)


def _bucket_of(uri: str) -> str:
    return uri.partition("://")[2].partition("/")[0]


def parse_suffixes(value: Any) -> SuffixRule:
    """The `Suffixes` of an input or a deployment: "*", or names of suffixes. Raises InvalidInputError."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InvalidInputError(f"Suffixes is {_shown(value)}, not a list of text.", remedy=_SUFFIXES_EXAMPLE)
    more = {name if name in (ALL_SUFFIXES, NO_SUFFIX) else name.removeprefix(".").lower() for name in names}
    for name in more:
        if name != NO_SUFFIX and not _SUFFIX.fullmatch(name):
            raise InvalidInputError(f"Suffixes has {_shown(name)}.", remedy=_SUFFIXES_EXAMPLE)
    return SuffixRule((ALL_SUFFIXES,) if ALL_SUFFIXES in more else tuple(sorted(more - IMAGE_SUFFIXES)))


def read_suffixes(text: str) -> SuffixRule:
    """Suffixes separated by commas, as a function's environment has them. Raises InvalidInputError."""
    return parse_suffixes(text.split(",") if text else [])


def _prefixes(document: Mapping[str, Any], image_bucket: str) -> tuple[tuple[str, ...], frozenset[str]]:
    if "Paths" not in document:
        raise InvalidInputError("The input has no Paths.", remedy=_EXAMPLE)
    paths = document["Paths"]
    if not isinstance(paths, list) or not paths:
        raise InvalidInputError(f"Paths is {_shown(paths)}, not a list of prefixes.", remedy=_EXAMPLE)
    names = [_path(path, position, image_bucket) for position, path in enumerate(paths)]
    prefixes = normalise_prefixes([name if name.endswith("/") or not name else f"{name}/" for name in names])
    return prefixes, frozenset(prefix for prefix in prefixes if prefix.removesuffix("/") in names and prefix)


def _path(path: Any, position: int, image_bucket: str) -> str:
    """The key that a path begins with, exactly as it is written: keys may begin with "/"."""
    field = f"Paths[{position}]"
    if not isinstance(path, str) or not path:
        raise InvalidInputError(
            f"{field} is {_shown(path)}, not a prefix.",
            remedy='Write a prefix such as "images"; "/" means the whole bucket.',
        )
    if "://" in path:
        scheme, _, rest = path.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or bucket != image_bucket:
            raise InvalidInputError(
                f"{field} is of another bucket ({_short(scheme)}://{_short(bucket)}).",
                remedy=f"Only s3://{image_bucket}/ can be read: copy the images there, or deploy with that bucket.",
            )
    else:
        key = "" if path == WHOLE_BUCKET else path
    if not is_key(f"{key}/"):
        raise InvalidInputError(
            f"{field} is not a prefix of a key.", remedy=f"A key is Unicode text of up to {KEY_BYTES:,} bytes."
        )
    return key


def _manifest(document: Mapping[str, Any], buckets: tuple[str, str]) -> S3Uri | None:
    if "Manifest" not in document:
        return None
    text = document["Manifest"]
    if not isinstance(text, str):
        raise InvalidInputError(f"Manifest is {_shown(text)}, not text.", remedy="Write s3://BUCKET/KEY.")
    uri = S3Uri.parse(text)
    if uri.bucket not in buckets:
        raise InvalidInputError(
            f"Manifest is in another bucket ({_short(uri.bucket)}).",
            remedy=f"Put it into s3://{buckets[1]}/ or s3://{buckets[0]}/.",
        )
    return uri


def _scheme(document: Mapping[str, Any]) -> ImageIdScheme:
    value: Literal["key", "stem"]
    for value in ("key", "stem"):
        if document.get("ImageId", "key") == value:
            return value
    raise InvalidInputError(
        f"ImageId is {_shown(document['ImageId'])}.",
        remedy='Use "key" (the whole S3 key) or "stem" (the file\'s name without its suffix).',
    )


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} is {_shown(value)}.", remedy="Use true or false.")
    return value


def _whole_number(document: Mapping[str, Any], name: str, default: int, *, minimum: int, maximum: int | None) -> int:
    value = document.get(name, default)
    # bool is a subclass of int in Python, but `true` is not a number in JSON.
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (maximum or value) < value:
        upper = "" if maximum is None else f" to {maximum:,}"
        raise InvalidInputError(f"{name} is {_shown(value)}.", remedy=f"Use a whole number from {minimum}{upper}.")
    return value


_representation = reprlib.Repr()
_representation.maxstring = _representation.maxother = _representation.maxlong = SHOWN_CHARACTERS


def _shown(value: Any) -> str:
    """`value` in an error: a bounded part of it, however deep it is nested."""
    return _short(_representation.repr(value))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
