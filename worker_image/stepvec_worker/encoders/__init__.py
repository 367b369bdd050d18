"""Encoders of their users' own: an ONNX file inspected, before it becomes a model."""
