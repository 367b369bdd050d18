"""The networks, and `load_embedder`, which makes one ready to embed. An engine is imported by loading, not before."""

from stepvec_worker.engines.embedder import Embedder
from stepvec_worker.engines.loading import load_embedder

__all__ = ["Embedder", "load_embedder"]
