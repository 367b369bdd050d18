"""The networks, and `load_embedder`, which makes one ready to embed. MXNet is imported by loading one, not before."""

from stepvec_worker.architectures.loading import Embedder, load_embedder

__all__ = ["Embedder", "load_embedder"]
