"""A network of PyTorch's in any of its forms, ready for an exporter. Runs in the child process: it imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.loaded import shape_text
from r2b_edge.frontend.sizes import require_count, require_fit
from r2b_edge.frontend.sniff import Form
from r2b_edge.frontend.text import printable, reason
from r2b_edge.frontend.torch_export import module_to_onnx, module_to_program, program_to_onnx

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Network:
    """What was loaded.

    Args:
        call: tensors, one an input in order -> what PyTorch makes of them.
        dynamo: exports by torch.export and torch.onnx.
        script: exports by the older exporter, which is based on TorchScript.
        sizes: of the tensors that `call` takes.
        shapes: those that the ONNX model still needs, or None where its sizes are fixed already.
    """

    call: Callable[[list[torch.Tensor]], Any]
    dynamo: Callable[[], onnx.ModelProto]
    script: Callable[[], onnx.ModelProto]
    sizes: Shapes
    shapes: Shapes | None


def load(request: dict[str, Any], notes: list[str]) -> Network:
    """The network in a file.

    Args:
        request: see `child.py`.
        notes: what the user should know is appended here.

    Raises:
        InputError: see the loader of each form.
        UnsupportedError: as well.
    """
    path, form = Path(request["path"]), Form(request["form"])
    given = request["input_shape"]
    shapes = None if given is None else tuple(tuple(shape) for shape in given)
    if form is Form.PT2:
        from r2b_edge.frontend import pt2

        return _of_program(pt2.load(path), shapes)
    assert shapes is not None  # to_onnx asked for it
    if request["source_dir"] is not None:
        from r2b_edge.frontend.user_code import find_modules_in

        find_modules_in(Path(request["source_dir"]))
    if form is Form.TORCHSCRIPT:
        from r2b_edge.frontend import torchscript

        return _of_module(torchscript.load(path, len(shapes)), shapes, notes)
    if form is Form.PICKLE:
        from r2b_edge.frontend import pickled

        return _of_module(pickled.load(path, request["model"], notes), shapes, notes)
    from r2b_edge.frontend import safetensors, state_dict

    if form is Form.SAFETENSORS:
        module = state_dict.fill(path, safetensors.load(path), request["model"], notes)
    else:
        module = state_dict.load(path, request["model"], notes)
    return _of_module(module, shapes, notes)


def _of_program(program: ExportedProgram, shapes: Shapes | None) -> Network:
    values = _inputs_of(program)
    if shapes is not None:
        # Before the export, which takes a while.
        require_count(len(shapes), len(values))
        for (name, value), wanted in zip(values.items(), shapes, strict=True):
            has = tuple(size if isinstance(size, int) else None for size in value.shape)
            require_fit(name, has, wanted)
    sizes = tuple(_sizes(value, index, shapes) for index, value in enumerate(values.values()))
    zeros = [
        torch.zeros(shape, dtype=value.dtype)
        for shape, value in zip(sizes, values.values(), strict=True)
    ]
    module = program.module()
    _check_types(module)

    def packed(tensors: list[torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = pytree.tree_unflatten(tensors, program.call_spec.in_spec)
        return args, kwargs

    def call(tensors: list[torch.Tensor]) -> Any:
        args, kwargs = packed(tensors)
        return module(*args, **kwargs)

    def script() -> onnx.ModelProto:
        args, kwargs = packed(zeros)
        return module_to_onnx(module, (*args, kwargs) if kwargs else args)

    return Network(call, lambda: program_to_onnx(program), script, sizes, shapes)


def _of_module(module: nn.Module, shapes: Shapes, notes: list[str]) -> Network:
    _check_types(module)
    notes += [
        f"the batch axis of {shape[0]} was fixed to 1"
        for shape in shapes
        if len(shape) > 1 and shape[0] > 1
    ]
    sizes = tuple((1, *shape[1:]) if len(shape) > 1 else shape for shape in shapes)
    zeros = tuple(torch.zeros(shape) for shape in sizes)
    given = ", ".join(shape_text(shape) for shape in sizes)
    try:
        module(*zeros)
    except Exception as error:  # the module is the user's: it may raise anything
        raise InputError(
            f"the network does not take an input of {given}: {reason(error)}"
        ) from error
    return of_inputs(module, zeros)


def of_inputs(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Network:
    """An evaluated module that takes these inputs."""
    return Network(
        lambda tensors: module(*tensors),
        lambda: program_to_onnx(module_to_program(module, inputs)),
        lambda: module_to_onnx(module, inputs),
        tuple(tuple(tensor.shape) for tensor in inputs),
        None,
    )


def _check_types(module: nn.Module) -> None:
    """Refuse parameters of a type that the tool does not compute with."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        _check_type(name, tensor)


def _check_type(name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype in (torch.float16, torch.bfloat16, torch.float64):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UnsupportedError(
            f"the network computes in {kind} ({printable(name, 60)})",
            "call model.float() before saving it",
        )


def _inputs_of(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Fake tensors of the user's inputs by name, in order."""
    users = set(program.graph_signature.user_inputs)
    values = {
        node.name: node.meta.get("val")
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in users
    }
    for name, value in values.items():
        if not isinstance(value, torch.Tensor):
            raise UnsupportedError(
                f"the model's input {printable(name, 60)!r} is a {type(value).__name__}, not a tensor",
                "save a module whose forward takes tensors",
            )
        _check_type(name, value)
    return values


def _sizes(value: torch.Tensor, index: int, shapes: Shapes | None) -> tuple[int, ...]:
    """Static sizes of an input: an open one as the user says, or else as it was when the network was traced."""
    sizes = enumerate(value.shape)
    if shapes is None:
        return tuple(size if isinstance(size, int) else size.node.hint or 1 for _, size in sizes)
    return tuple(size if isinstance(size, int) else shapes[index][axis] for axis, size in sizes)
