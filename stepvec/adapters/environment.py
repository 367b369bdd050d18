"""The environment of a process as a typed record: read once, checked at the start, a wrong variable named."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_type_hints

from stepvec.errors import ConfigurationError

Settings = TypeVar("Settings")

PREFIX: Final = "STEPVEC_"


def read_environment(cls: type[Settings], environ: Mapping[str, str]) -> Settings:
    """The dataclass `cls` filled from variables: its field `image_bucket` is STEPVEC_IMAGE_BUCKET, and so on.

    Fields are str, int or float; one with a default may be unset. Raises ConfigurationError naming the variable.
    """
    values: dict[str, Any] = {}
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        variable = PREFIX + field.name.upper()
        text = environ.get(variable, "")
        if text:
            values[field.name] = _convert(variable, text, types[field.name])
        elif field.default is dataclasses.MISSING:
            raise ConfigurationError(
                f"The environment variable {variable} is not set.",
                remedy="The CDK app sets it: deploy the pipeline stack again.",
            )
    return cls(**values)


def _convert(variable: str, text: str, expected: type) -> Any:
    try:
        return expected(text)
    except ValueError as error:
        raise ConfigurationError(
            f"The environment variable {variable} is {text!r}, not {expected.__name__}.",
            remedy="Correct it in the CDK app's configuration and deploy again.",
        ) from error
