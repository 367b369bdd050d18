"""An ONNX file, copied, looked at by a guarded process of the worker's environment, and made a model."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from local_pipeline.bare_environment import bare_environment
from local_pipeline.installation import WORKER_PYTHON, check_installation
from stepvec import codec
from stepvec.errors import StorageError, WeightsError
from stepvec.rows.model import ENCODER_FILE, ModelCard
from stepvec.runs.layout import S3Uri
from stepvec.weights.make import write_encoder
from stepvec.weights.own_encoder import MAX_ONNX_BYTES, EncoderRequest, Inspection

_SECONDS: Final = 900
"""Until a process that still looks at a file is ended: a minute for the largest, on an idle machine."""
_COPY_BYTES: Final = 1 << 20


def make_encoder_model(
    request: EncoderRequest, directory: Path, source: str, license_: str
) -> tuple[ModelCard, Inspection]:
    """Inspect the file of `request`, a path or an S3 URI, and write its model to `directory`.

    Nothing of the file is parsed in this process. Raises WeightsError, with a remedy, for what is no encoder, and
    ConfigurationError where the worker's environment is missing; the directory then keeps the model that it had.
    """
    check_installation()
    directory.mkdir(parents=True, exist_ok=True)
    copy = directory / f".{ENCODER_FILE}.{os.getpid()}"
    try:
        with _opened(request.file) as stream:
            _copy(stream, copy, request.where)
        inspection = _inspected(replace(request, file=str(copy.resolve())))
        with copy.open("ab") as file:
            file.write(bytes.fromhex(inspection.addition))
        with copy.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        card = ModelCard(request.name, sha256, source, license_, encoder=inspection.encoder)
        write_encoder(directory, copy, card)
    except OSError as error:
        raise WeightsError(
            f"{directory} cannot be written: {error.strerror or error}.", remedy="Give another directory with --out."
        ) from error
    finally:
        copy.unlink(missing_ok=True)
    return card, inspection


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if "://" in file:
        # boto3 takes a third of a second to import.
        from stepvec.adapters.clients import s3_client
        from stepvec.adapters.object_store import ObjectStore

        try:
            with ObjectStore(s3_client()).open(S3Uri.parse(file)) as body:
                yield body
        except StorageError as error:
            raise WeightsError(error.message, remedy=error.remedy) from error
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise WeightsError(
            f"{file} cannot be read: {error.strerror or error}.", remedy="Give the path of an ONNX file."
        ) from error
    with stream:
        yield stream


def _copy(stream: IO[bytes], target: Path, where: str) -> None:
    copied = 0
    with target.open("wb") as file:
        while part := stream.read(_COPY_BYTES):
            copied += len(part)
            if copied > MAX_ONNX_BYTES:
                raise WeightsError(
                    f"{where} has more than {MAX_ONNX_BYTES:,} bytes, which is the most that is taken.",
                    remedy="Export a smaller network, or this one with its weights in float16.",
                )
            file.write(part)


def _inspected(request: EncoderRequest) -> Inspection:
    try:
        result = subprocess.run(
            [str(WORKER_PYTHON), "-m", "stepvec_worker.encoders.inspect_file"],
            input=codec.to_json(request),
            env=bare_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(
            f"{request.where} was not read and tried within {_SECONDS // 60} minutes.", remedy=_SUSPICIOUS
        ) from error
    if result.returncode == 0:
        return codec.from_json(Inspection, result.stdout, where="the inspection")
    problem = _problem(result.stdout)
    if problem is None:
        words = result.stderr.strip().splitlines()[-1:]
        ended = f"signal {-result.returncode}" if result.returncode < 0 else "".join(words) or "without a word"
        raise WeightsError(f"The process that read {request.where} ended ({ended:.160}).", remedy=_SUSPICIOUS)
    raise WeightsError(problem["message"], remedy=problem["remedy"])


_SUSPICIOUS: Final = (
    "The file may be damaged, made to harm, or too large for this machine: get it again, or another one."
)


def _problem(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return None
