"""The vector of a photo that is looked for, as the worker would make it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from local_pipeline.reembedding import reembedder
from stepvec.errors import InvalidInputError

_OTHERWISE: Final = "or search for the key of an image that is embedded."


def embed_query(photo: Path, model: str) -> npt.NDArray[np.float32]:
    """The vector of `photo` by `model`, by the worker's code in its environment.

    Raises ConfigurationError where this checkout has another model, InvalidInputError where the photo gets no vector.
    """
    with (
        tempfile.TemporaryDirectory(prefix="stepvec-query-") as folder,
        reembedder(model, whose="The vectors are of", otherwise=_OTHERWISE) as embedder,
    ):
        # The worker is told files by the line; a photo's own name may have a line's end in it, or be no text at all.
        link = Path(folder) / "photo"
        link.symlink_to(photo.resolve())
        found = embedder.vector(link)
    if isinstance(found, str):
        raise InvalidInputError(f"{photo} gets no vector: {found}", remedy="Give another photo.")
    return found
