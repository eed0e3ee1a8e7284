"""PyTorch's two exporters to ONNX, as this tool calls them. Runs in the child process: it imports torch."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram

from r2b_edge.frontend.contain import ExporterFailedError
from r2b_edge.frontend.names import name_layers
from r2b_edge.frontend.text import first_line, reason

OPSET = 18  # the opset that torch.onnx writes natively: no version conversion afterwards


def module_to_program(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> ExportedProgram:
    """The module as torch.export traces it.

    Raises:
        ExporterFailedError: it cannot be traced.
    """
    try:
        with _quiet():
            return torch.export.export(module, inputs, strict=False)
    except Exception as error:  # the module is the user's: it may raise anything
        raise ExporterFailedError(
            "torch.export cannot trace the network: "
            f"{type(error).__name__}: {first_line(str(error))}",
            "write forward() without branches and numbers that depend on values, such as with torch.where; "
            "where they depend on weights only, a trace is right: torch.jit.trace(model.eval(), x).save(path)",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user's terminal the graphs and warnings that torch.export prints beside its errors."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def program_to_onnx(program: ExportedProgram) -> onnx.ModelProto:
    """The program as torch.onnx writes it, unoptimised (`normalise.py` does the folding), its layers named.

    Raises:
        ExporterFailedError: torch.onnx has no translation for one of its operators.
    """
    try:
        exported = torch.onnx.export(
            program, dynamo=True, optimize=False, verbose=False, opset_version=OPSET
        )
    except Exception as error:  # torch.onnx raises a family of classes of its own
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ExporterFailedError(
            f"torch.onnx cannot export the network: {reason(cause)}"
        ) from error
    assert exported is not None
    model: onnx.ModelProto = exported.model_proto
    name_layers(model)
    return model


def module_to_onnx(module: nn.Module, inputs: tuple[Any, ...]) -> onnx.ModelProto:
    """The module as the older, TorchScript-based exporter writes it; a ScriptModule as well.

    Args:
        module: in eval mode.
        inputs: tensors; a dictionary at the end holds arguments by name.

    Raises:
        ExporterFailedError: it cannot be traced, or an operator has no translation.
    """
    buffer: Any = io.BytesIO()  # which the exporter takes, whatever its type says
    names = _input_names(module, len(inputs))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # That it is deprecated is nothing that the network's author can change.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                inputs,
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=names,
                # Both keep it from fusing Conv with BatchNormalization, which hides the weights' scale.
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
            )
    except Exception as error:  # anything, from the user's module or from torch.onnx
        raise ExporterFailedError(
            f"torch.onnx with dynamo=False cannot export the network: {reason(error)}"
        ) from error
    model = onnx.ModelProto()
    model.ParseFromString(buffer.getvalue())
    if names is not None and all(isinstance(tensor, torch.Tensor) for tensor in inputs):
        _restore_inputs(model, dict(zip(names, inputs, strict=True)))
    name_layers(model)
    return model


def _restore_inputs(model: onnx.ModelProto, inputs: dict[str, torch.Tensor]) -> None:
    """Put back the inputs that nothing reads, which the exporter drops: a network keeps its signature."""
    has = {value.name: value for value in model.graph.input}
    if not has.keys() <= inputs.keys():
        return
    values = [
        has.get(name)
        or onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype), tensor.shape
        )
        for name, tensor in inputs.items()
    ]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in values]
    del model.graph.input[:]
    model.graph.input.extend(copies)


def _input_names(module: Any, count: int) -> list[str] | None:
    """The names of forward's arguments, as torch.export gives them too."""
    if isinstance(module, torch.jit.ScriptModule):
        forward: Any = module.forward
        names = [argument.name for argument in forward.schema.arguments[1:]]
    else:
        names = [
            parameter.name
            for parameter in inspect.signature(module.forward).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
    return names[:count] if len(names) >= count else None
