"""What the embedded AWS refuses to do, each with the remedy."""

from __future__ import annotations

from stepvec.errors import StepvecError


class LocalCloudError(StepvecError):
    """Base of every error that the embedded AWS raises itself (errors of the AWS API stay `ClientError`)."""


class ClosedError(RuntimeError):
    """A child is to be started while the embedded AWS ends: of a request that nobody waits for any more."""


class AssemblyError(LocalCloudError):
    """The cloud assembly cannot be read: a file is missing or has another form."""


class TemplateError(LocalCloudError):
    """A template uses something in a way that the embedded AWS cannot follow."""


class UnsupportedResourceError(TemplateError):
    """A resource type that is neither deployed locally nor listed as not local."""


class ImageError(LocalCloudError):
    """A container image cannot be run as a local process."""


class InstallationError(LocalCloudError):
    """The Python environment is not the one the embedded AWS was checked against."""
