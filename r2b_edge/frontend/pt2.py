"""Load a torch.export archive. Runs in the child process only: it imports torch."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch.export import ExportedProgram

from r2b_edge.errors import InputError, R2BError
from r2b_edge.frontend.pt2_guard import vet_members, vet_payloads, vet_program
from r2b_edge.frontend.text import reason

RESAVE = "save it again with r2b_edge.save"
_PROGRAM = "models/model.json"
_PAYLOADS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")


def load(path: Path) -> ExportedProgram:
    """The program in a .pt2 file, read without running anything that the file holds.

    Raises:
        InputError: damaged, written by an incompatible PyTorch, or hostile.
        UnsupportedError: it uses operators that are not PyTorch's own.
    """
    version = _vet(path)
    try:
        program = torch.export.load(str(path))
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is refused: it holds a pickled object, which could run code when loaded",
            RESAVE,
        ) from error
    except Exception as error:  # torch raises anything from KeyError to RuntimeError here
        raise InputError(
            f"{path}, written by PyTorch {version}, cannot be loaded by PyTorch "
            f"{torch.__version__}: {reason(error)}",
            RESAVE,
        ) from error
    # Source text out of the file, which ExportedProgram.module() would execute.
    program._guards_code = []
    _vet_loaded(path, program)
    return program


def _vet(path: Path) -> str:
    """Vet through torch's own zip reader, so that the bytes vetted are the bytes loaded."""
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = reader.get_all_records()
    except RuntimeError as error:
        raise InputError(f"{path} is a damaged archive: {reason(error)}", RESAVE) from error
    try:
        vet_members(names)
        for name in (_PROGRAM, *_PAYLOADS):
            if name not in names:
                raise InputError(f"it holds no {name}")
        for name in _PAYLOADS:
            vet_payloads(reader.get_record(name))
        return vet_program(reader.get_record(_PROGRAM))
    except R2BError as error:
        raise type(error)(f"{path} is refused: {error.message}", error.hint or RESAVE) from error


def _vet_loaded(path: Path, program: ExportedProgram) -> None:
    """Refuse operators that touch files, and programs saved in training mode."""
    for module in program.graph_module.modules():
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in module.graph.nodes:
            target = node.target
            if not isinstance(target, torch._ops.OpOverload):
                continue
            names = [argument.name for argument in target._schema.arguments]
            if "filename" in names or not torch._C._dispatch_has_kernel(_qualified(target)):
                raise InputError(f"{path} is refused: it calls {target!s}")
            for flag in ("train", "training"):
                if flag in names and _argument(node, names, flag) is True:
                    raise InputError(
                        f"{path} was saved in training mode ({target!s} at {node.name})",
                        "call model.eval() before saving it",
                    )


def _argument(node: torch.fx.Node, names: list[str], name: str) -> object:
    position = names.index(name)
    return node.args[position] if position < len(node.args) else node.kwargs.get(name)


def _qualified(target: torch._ops.OpOverload) -> str:
    """The name in the dispatcher: aten::add.Tensor, without ".default"."""
    schema = target._schema
    return f"{schema.name}.{schema.overload_name}" if schema.overload_name else str(schema.name)
