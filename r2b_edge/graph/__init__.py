"""Stage 2: the typed graph between model.onnx and the exporters."""

from r2b_edge.graph.graph import BINARY_INPUT, Graph, LayerFinding, Node, Origin, Tensor, TensorType

__all__ = ["BINARY_INPUT", "Graph", "LayerFinding", "Node", "Origin", "Tensor", "TensorType"]
