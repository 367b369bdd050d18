"""Patch of moto's ExportTableToPointInTime, which writes one file of rows and no manifest."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from moto.dynamodb.models.table_export import TableExport
from moto.dynamodb.models.utilities import dynamo_json_dump

_FILES: Final = 2
"""AWS writes one for each partition, an empty one for a partition without rows."""


def export_as_aws() -> None:
    """Write what AWS documents: data files by partition, two manifests with checksums, and `_started`.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
    """
    create, respond = TableExport.__init__, TableExport.response

    def init(export: Any, *arguments: Any, **named: Any) -> None:
        create(export, *arguments, **named)
        export.stepvec_id = f"{datetime.now(UTC):%s}{uuid.uuid4().int % 1000:03}-{uuid.uuid4().hex[:8]}"
        export.stepvec_time = datetime.now(UTC)
        # moto's own is no ARN of an export: it has the table's within, and ends in "import/".
        export.arn = f"{export.table.table_arn}/export/{export.stepvec_id}"

    def response(export: Any) -> dict[str, Any]:
        manifest = (
            {"ExportManifest": f"{_folder(export)}/manifest-summary.json"} if export.status == "COMPLETED" else {}
        )
        found = {name: value for name, value in respond(export).items() if value is not None}
        return {**found, "ExportTime": export.stepvec_time, **manifest}

    TableExport.__init__ = init
    TableExport.response = response
    TableExport._backup_to_s3_file = _write


def _folder(export: Any) -> str:
    prefix = f"{export.s3_prefix}/" if export.s3_prefix else ""
    return f"{prefix}AWSDynamoDB/{export.stepvec_id}"


def _write(export: Any, s3_backend: Any) -> None:
    folder = _folder(export)

    def put(name: str, body: bytes) -> None:
        s3_backend.put_object(bucket_name=export.s3_bucket, key_name=f"{folder}/{name}", value=body)

    def put_manifest(name: str, text: str) -> None:
        put(f"{name}.json", text.encode())
        put(f"{name}.checksum", _md5(text.encode()).encode())

    put("_started", b"")
    lines = [f"{dynamo_json_dump(item.to_json(root_attr_name='Item'))}\n".encode() for item in export.table.all_items()]
    listed = []
    for number in range(_FILES):
        part = lines[number::_FILES]
        body = gzip.compress(b"".join(part))
        name = f"data/{uuid.uuid4().hex[:26]}.json.gz"
        put(name, body)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        entry = {
            "itemCount": len(part),
            "md5Checksum": _md5(body),
            "etag": f"{etag}-1",
            "dataFileS3Key": f"{folder}/{name}",
        }
        listed.append(json.dumps(entry))
    export.item_count, export.processed_bytes = len(lines), sum(map(len, lines))
    put_manifest("manifest-files", "\n".join(listed))
    put_manifest("manifest-summary", json.dumps(_summary(export, folder)))
    export.status = "COMPLETED"


def _summary(export: Any, folder: str) -> dict[str, Any]:
    now, taken = (f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in (datetime.now(UTC), export.stepvec_time))
    return {
        "version": "2020-06-30",
        "exportArn": export.arn,
        "startTime": taken,
        "endTime": now,
        "tableArn": export.table.table_arn,
        "exportTime": taken,
        "s3Bucket": export.s3_bucket,
        "s3Prefix": export.s3_prefix,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{folder}/manifest-files.json",
        "billedSizeBytes": export.processed_bytes,
        "itemCount": export.item_count,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


PATCHES: Final[dict[str, Callable[[], None]]] = {"dynamodb_export_manifests": export_as_aws}
