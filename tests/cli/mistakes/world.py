"""Where mistakes are made: a folder, and the embedded AWS."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import ROOT
from tests.local.conftest import Pipeline, photo

WITHOUT_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class World:
    """The folder that a command is typed in, and the AWS that it speaks to, if any."""

    def __init__(self, folder: Path, pipeline: Pipeline | None) -> None:
        self.folder = folder
        self.names: dict[str, str] = {"LENGTHY": "x" * 81, "LONG": "x" * 300, "CHECKOUT": str(ROOT)}
        """More words in capitals, and what they stand for."""
        self.prefix: list[str] = []
        """What a shell is started by, where it is to have fewer rights."""
        self._pipeline = pipeline
        for name in ("empty", "documents", "holiday"):
            (folder / name).mkdir()
        (folder / "documents" / "letter.txt").write_text("Dear")
        (folder / "holiday" / "1.jpg").write_bytes(photo(1))
        (folder / "letter.txt").write_text("Dear")
        (folder / "one.jpg").write_bytes(photo(2))

    @property
    def pipeline(self) -> Pipeline:
        assert self._pipeline is not None, "this mistake says needs_aws=False"
        return self._pipeline

    def environment(self) -> dict[str, str]:
        """The machine's variables without any AWS's, and those of the embedded AWS if there is one."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPVEC_", "PYTEST_"))
        }
        own = {} if self._pipeline is None else self._pipeline.client_environment()
        return {**kept, **WITHOUT_AWS, **own, "COLUMNS": "100", "STEPVEC_STATE": str(self.folder / "state")}

    def filled(self, text: str) -> str:
        """A command with the words in capitals replaced by what they stand for."""
        for name, value in self._names().items():
            text = text.replace(name, value)
        return text

    def told(self, text: str) -> str:
        """What was said, with words in capitals for what differs from run to run."""
        for name, value in sorted(self._names().items(), key=lambda item: -len(item[1])):
            text = text.replace(value, name)
        return text

    def _names(self) -> dict[str, str]:
        names = {"FOLDER": str(self.folder), **self.names}
        if self._pipeline is not None:
            deployment = self._pipeline.deployment
            names |= {
                "ENDPOINT": self._pipeline.cloud.endpoint_url,
                "IMAGES": deployment.image_bucket,
                "WORK": deployment.work_bucket,
                "TABLE": deployment.table,
                "MACHINE": deployment.state_machine_arn,
                "MODEL": deployment.model,
            }
        return names
