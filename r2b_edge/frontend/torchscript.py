"""Load a TorchScript archive, of which nothing but the network runs. In the child process only: it imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.sniff import SAVE_HINT
from r2b_edge.frontend.text import printable, reason
from r2b_edge.frontend.torchscript_guard import vet_archive, vet_operators


def load(path: Path, inputs: int) -> torch.jit.ScriptModule:
    """The module in evaluation mode, with a `forward` that takes just this many tensors.

    Raises:
        InputError: damaged, or it could do more than compute; or it does not take so many tensors.
        UnsupportedError: it calls an operator of a library.
    """
    vet_archive(path)
    try:
        module: Any = torch.jit.load(path, map_location="cpu")
    except Exception as error:  # C++ exceptions arrive as RuntimeError and others
        raise InputError(f"{path} is a damaged TorchScript archive: {reason(error)}") from error
    if not hasattr(module, "forward"):
        raise InputError(f"{path} is a TorchScript archive without a forward", SAVE_HINT)
    vet_operators(path, module)
    evaluated: torch.jit.ScriptModule = _with_inputs(path, module, inputs).eval()
    return evaluated


def _with_inputs(path: Path, module: Any, inputs: int) -> Any:
    """The module itself; or, if `forward` has more arguments with defaults, one that leaves them at those."""
    arguments = module.forward.schema.arguments[1:]
    needed = sum(not argument.has_default_value() for argument in arguments)
    names = ", ".join(printable(argument.name, 40) for argument in arguments)
    if not needed <= inputs <= len(arguments):
        raise InputError(
            f"--input-shape names {inputs} inputs, and the forward of {path} takes ({names})",
            "give one --input-shape for each",
        )
    for argument in arguments[:inputs]:
        if str(argument.type) != "Tensor":
            raise UnsupportedError(
                f"{path}: the argument {printable(argument.name, 40)} of forward is a "
                f"{printable(str(argument.type), 40)}",
                "script a module that takes tensors",
            )
    if inputs == len(arguments):
        return module
    outer: Any = _Outer(module)
    given = [
        argument.name if argument.name.isidentifier() else f"input_{index}"
        for index, argument in enumerate(arguments[:inputs])
    ]
    typed = ", ".join(f"{name}: Tensor" for name in given)
    try:
        outer.define(f"def forward(self, {typed}):\n    return self.net({', '.join(given)})\n")
    except RuntimeError as error:  # a hook that wants all arguments
        raise UnsupportedError(
            f"{path}: forward cannot be called with {inputs} of its arguments: {reason(error)}",
            "script a module without hooks, whose forward takes tensors only",
        ) from error
    return outer


class _Outer(torch.jit.ScriptModule):
    """A script module around another; its forward is defined afterwards."""

    def __init__(self, net: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.net = net
