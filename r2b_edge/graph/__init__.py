"""Stage 2: the typed graph between model.onnx and the exporters."""

from r2b_edge.graph.graph import Graph, LayerFinding, Node, Origin, Tensor, TensorType

__all__ = ["Graph", "LayerFinding", "Node", "Origin", "Tensor", "TensorType"]
