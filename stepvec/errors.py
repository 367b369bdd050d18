"""The errors that Stepvec raises: each says what is wrong, where, and what to do."""

from __future__ import annotations


class StepvecError(Exception):
    """Base of every error of Stepvec.

    `message` says what is wrong and where, `remedy` what to do about it; `str()` gives both.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class InvalidInputError(StepvecError):
    """The input of an execution, a manifest or a command cannot be used. Trying again does not help."""


class ConfigurationError(StepvecError):
    """An environment variable, a setting or the installation is missing or wrong."""


class OutputError(StepvecError):
    """A file or folder that a command is to write cannot be written."""


class RecordError(StepvecError):
    """A file of a run or a row of the table does not have the form this version reads."""


class WeightsError(StepvecError):
    """A weights file is missing, corrupt, or not of the architecture it is said to be."""


class DeviceError(StepvecError):
    """The device asked for (a GPU) is not there."""


class ProcessLostError(StepvecError):
    """The worker's embedding processes died again and again, and no image was to blame (out of memory, killed)."""


class StorageError(StepvecError):
    """S3 or DynamoDB did not take or give what was asked, after all retries."""


class AccessDeniedError(StorageError):
    """AWS refused a call for want of a permission. Trying again does not help."""
