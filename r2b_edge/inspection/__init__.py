"""`inspect`: every layer of a model, what it is, why, and what it becomes.

reading (model.onnx as far as it can be imported) | zeros (before signs, on samples) | fate (of each node on each
exporter) | collect (all of it into an Inspection) | model (which is that, and its JSON) | terminal (for people).
"""

from r2b_edge.inspection.model import Inspection
from r2b_edge.inspection.run import inspect
from r2b_edge.inspection.terminal import print_inspection

__all__ = ["Inspection", "inspect", "print_inspection"]
