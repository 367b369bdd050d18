"""Reads a CDK cloud assembly (cdk.out): stacks in dependency order, their templates and assets."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localaws.batch.dockerfile import Image, read_image
from localaws.errors import AssemblyError

_SYNTHESIZE = "Run the CDK app again (cdk synth) and pass the folder it wrote."


@dataclass(frozen=True, slots=True)
class FileAsset:
    """A file or folder that CDK would upload to the staging bucket.

    `bucket` may hold CloudFormation placeholders such as ${AWS::AccountId}.
    """

    path: Path
    packaging: str
    bucket: str
    key: str

    def content(self) -> bytes:
        """The object's bytes: the file itself, or the folder as a zip with stable timestamps."""
        if self.packaging == "file":
            return self.path.read_bytes()
        if self.packaging == "zip":
            return self.path.read_bytes() if self.path.is_file() else _zip_folder(self.path)
        raise AssemblyError(f"Asset {self.path} has packaging {self.packaging!r}.", remedy=_SYNTHESIZE)


@dataclass(slots=True)
class Stack:
    """One CloudFormation stack of the assembly."""

    name: str
    template: dict[str, Any]
    dependencies: tuple[str, ...]
    is_protected: bool = False
    files: list[FileAsset] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


def read_assembly(folder: Path) -> list[Stack]:
    """The stacks of the cloud assembly in `folder`, each after the stacks it depends on.

    Raises AssemblyError when the folder is not a cloud assembly.
    """
    artifacts: dict[str, Any] = _read_json(folder / "manifest.json").get("artifacts", {})
    stacks = {
        artifact_id: _read_stack(folder, artifact_id, artifacts)
        for artifact_id, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    if not stacks:
        raise AssemblyError(f"{folder} holds no stack.", remedy=_SYNTHESIZE)
    return _dependencies_first(stacks)


def _read_stack(folder: Path, artifact_id: str, artifacts: dict[str, Any]) -> Stack:
    artifact = artifacts[artifact_id]
    properties = artifact["properties"]
    dependencies = tuple(artifact.get("dependencies", []))
    stack = Stack(
        name=properties.get("stackName", artifact_id),
        template=_read_json(folder / properties["templateFile"]),
        dependencies=dependencies,
        is_protected=bool(properties.get("terminationProtection")),
    )
    for dependency in dependencies:
        manifest = artifacts.get(dependency, {})
        if manifest.get("type") == "cdk:asset-manifest":
            _add_assets(stack, folder, _read_json(folder / manifest["properties"]["file"]))
    return stack


def _add_assets(stack: Stack, folder: Path, manifest: dict[str, Any]) -> None:
    for asset in manifest.get("files", {}).values():
        if "path" not in asset["source"]:
            raise AssemblyError(
                f"A file asset of stack {stack.name} is made by a command, not read from a path.",
                remedy="Bundle it in the CDK app, so that cdk.out holds the files.",
            )
        destination = next(iter(asset["destinations"].values()))
        stack.files.append(
            FileAsset(
                path=folder / asset["source"]["path"],
                packaging=asset["source"].get("packaging", "file"),
                bucket=destination["bucketName"],
                key=destination["objectKey"],
            )
        )
    for asset in manifest.get("dockerImages", {}).values():
        source = asset["source"]
        for destination in asset["destinations"].values():
            dockerfile = source.get("dockerFile", "Dockerfile")
            stack.images.append(read_image(destination["imageTag"], folder / source["directory"], dockerfile))


def _dependencies_first(stacks: dict[str, Stack]) -> list[Stack]:
    ordered: list[Stack] = []
    visiting: set[str] = set()

    def visit(artifact_id: str) -> None:
        stack = stacks[artifact_id]
        if stack in ordered:
            return
        if artifact_id in visiting:
            raise AssemblyError(f"Stack {stack.name} depends on itself.", remedy=_SYNTHESIZE)
        visiting.add(artifact_id)
        for dependency in stack.dependencies:
            if dependency in stacks:
                visit(dependency)
        ordered.append(stack)

    for artifact_id in stacks:
        visit(artifact_id)
    return ordered


def _zip_folder(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # The epoch of the zip format, as CDK writes it: the same files make the same hash.
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = (path.stat().st_mode & 0xFFFF) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(path))
    except ValueError as error:
        raise AssemblyError(f"{path} is not JSON: {error}", remedy=_SYNTHESIZE) from error
    if not isinstance(value, dict):
        raise AssemblyError(f"{path} is not a JSON object.", remedy=_SYNTHESIZE)
    return value


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise AssemblyError(f"{path} cannot be read: {error.strerror}", remedy=_SYNTHESIZE) from error
