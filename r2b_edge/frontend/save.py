"""Write a model file that says nothing about the machine that made it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2b_edge.errors import InputError
from r2b_edge.frontend.text import reason

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

# Node metadata that carries file paths, source lines and class names of the author.
PRIVATE_META = (
    "stack_trace",
    "nn_module_stack",
    "source_fn_stack",
    "torch_fn",
    "from_node",
    "custom",
)


def save(module: nn.Module, example_inputs: Any, path: str | os.PathLike[str]) -> None:
    """Save a network as a torch.export archive (.pt2), the form that this tool reads best.

    The archive holds the operators, the weights and the shapes; no file path or source line of the
    author, and zeros in place of the example inputs' values. The same network gives the same bytes.

    Args:
        module: put into eval mode while it is traced; it is handed back as it was.
        example_inputs: a tensor, or a tuple of the tensors that `module` is called with. Their
            shapes become the network's; use a batch of 1.
        path: the file to write; replaced as a whole.

    Raises:
        InputError: the module does not take these inputs, or the file cannot be written.
        UnsupportedError: torch.export cannot trace the module, or what it traced computes something else.
    """
    import torch

    from r2b_edge.frontend.agreement import require_same
    from r2b_edge.frontend.torch_export import module_to_program
    from r2b_edge.frontend.tracing import traceable

    inputs = _as_tuple(example_inputs)
    with _evaluating(module), traceable():
        _require_run(module, inputs)
        program = module_to_program(module, inputs)
        _require_tensors(program)
        require_same(module, program.module(), inputs)
    make_anonymous(program)
    buffer = io.BytesIO()  # a file's name would become the name of the archive's root folder
    torch.export.save(program, buffer)
    _write(Path(path), buffer.getvalue())


def save_traced(module: nn.Module, example_inputs: Any, path: str | os.PathLike[str]) -> None:
    """Save a network as an .onnx file by the older exporter, which is based on TorchScript.

    Args:
        module: see `save`.
        example_inputs: see `save`.
        path: see `save`.

    Raises:
        InputError: see `save`.
        UnsupportedError: the exporter fails, or what it makes computes something else than the module.
    """
    from r2b_edge.frontend.agreement import require_agreement
    from r2b_edge.frontend.networks import of_inputs
    from r2b_edge.frontend.tracing import traceable

    inputs = _as_tuple(example_inputs)
    with _evaluating(module), traceable():
        _require_run(module, inputs)
        network = of_inputs(module, inputs)
        model = network.script()
        require_agreement(network, model, [], always=True)
    _write(Path(path), model.SerializeToString(deterministic=True))


def _require_run(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    try:
        module(*(tensor.clone() for tensor in inputs))  # it may write to them
    except Exception as error:  # the module is the user's: it may raise anything
        raise InputError(f"the module does not take the example inputs: {reason(error)}") from error


def _require_tensors(program: ExportedProgram) -> None:
    """Refuse what an archive can hold as a size that nobody knows only, which reading it would refuse."""
    from r2b_edge.frontend.contain import ExporterFailedError

    for node in program.graph.nodes:
        if str(node.target).startswith(("aten.item", "aten._local_scalar_dense")):
            raise ExporterFailedError(
                "torch.export cannot save the network: forward() takes a number out of a tensor (.item() or float())",
                "leave it a tensor; or save a trace, which keeps the number as it was: "
                "torch.jit.trace(model.eval(), x).save(path)",
            )


def make_anonymous(program: ExportedProgram) -> None:
    """Drop the author's paths, source lines and example values from a program, in place."""
    import torch
    from torch.utils import _pytree as pytree

    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for key in PRIVATE_META:
                    node.meta.pop(key, None)
    if program.example_inputs is not None:
        program._example_inputs = pytree.tree_map_only(
            torch.Tensor, torch.zeros_like, program.example_inputs
        )


def _as_tuple(example_inputs: Any) -> tuple[Any, ...]:
    import torch

    if isinstance(example_inputs, torch.Tensor):
        return (example_inputs,)
    if isinstance(example_inputs, tuple | list) and all(
        isinstance(item, torch.Tensor) for item in example_inputs
    ):
        return tuple(example_inputs)
    raise InputError(
        f"example_inputs is a {type(example_inputs).__name__}, not a tensor or a tuple of them"
    )


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The module in eval mode; afterwards every part of it is as it was."""
    training = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, was in training:
            part.training = was


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
