"""Names of the sources of weights, apart from the sources, which import numpy."""

from __future__ import annotations

from typing import Literal

SourceName = Literal["auto", "model-store", "torchvision", "efficientnet-lite0"]
"""Where to look: `auto` is all of them in turn (stepvec/weights/sources.py)."""
