"""A torch.export program becomes an ONNX model. Runs in the child process: it imports torch."""

from __future__ import annotations

import onnx
import torch
from torch.export import ExportedProgram

from r2b_edge.errors import UnsupportedError
from r2b_edge.frontend.names import name_layers
from r2b_edge.frontend.text import reason

OPSET = 18  # the opset that torch.onnx writes natively: no version conversion afterwards


def program_to_onnx(program: ExportedProgram) -> onnx.ModelProto:
    """The program as torch.onnx writes it, unoptimised (`normalise.py` does the folding), its layers named.

    Raises:
        UnsupportedError: torch.onnx has no translation for one of its operators.
    """
    try:
        exported = torch.onnx.export(
            program, dynamo=True, optimize=False, verbose=False, opset_version=OPSET
        )
    except Exception as error:  # torch.onnx raises a family of classes of its own
        cause = error.__cause__ or error
        raise UnsupportedError(f"torch.onnx cannot export the network: {reason(cause)}") from error
    assert exported is not None
    model: onnx.ModelProto = exported.model_proto
    name_layers(model)
    return model
