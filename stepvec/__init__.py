"""Stepvec: images in S3 become verified vectors in DynamoDB.

For users there are `Stepvec` (a deployed pipeline), `read_vector` (of a row as boto3 gives it) and `StepvecError`;
everything else may change with any version.

`rows`, `runs` and `estimate` are the pure core: no boto3, no file, no environment. `adapters` holds boto3, `weights`
reads weights files, `client` is the Python API of a deployed pipeline, `audit` compares its table with its bucket.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stepvec.client.api import Stepvec
    from stepvec.errors import StepvecError
    from stepvec.rows.vectors import read_vector

__all__ = ["Stepvec", "StepvecError", "read_vector"]

_HOMES: Final = {
    "Stepvec": "stepvec.client.api",
    "StepvecError": "stepvec.errors",
    "read_vector": "stepvec.rows.vectors",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: Lambda functions and the worker have no client, and no need of it.

    https://peps.python.org/pep-0562/
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
