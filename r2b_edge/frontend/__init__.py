"""Stage 1: a model file in any accepted form becomes model.onnx. Nothing heavy is imported here."""

from __future__ import annotations

from r2b_edge.frontend.loaded import Loaded, LoadOptions, TensorInfo
from r2b_edge.frontend.save import save
from r2b_edge.frontend.sniff import Form, sniff
from r2b_edge.frontend.to_onnx import module_to_onnx, to_onnx

__all__ = [
    "Form",
    "LoadOptions",
    "Loaded",
    "TensorInfo",
    "module_to_onnx",
    "save",
    "sniff",
    "to_onnx",
]
