"""A state_dict and the network it belongs to. Runs in the child process only: it imports torch."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.export import ExportedProgram

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.loaded import shape_text
from r2b_edge.frontend.text import last_line, printable, reason

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PARALLEL = "module."


def load(
    path: Path, model: str, shapes: tuple[tuple[int, ...], ...], notes: list[str]
) -> ExportedProgram:
    """The network that `model` names with the file's weights, traced on inputs of these shapes.

    Raises:
        InputError: the file is no state_dict, `model` cannot be called, keys or shapes do not fit.
        UnsupportedError: torch.export cannot trace the network.
    """
    state = _read(path, notes)
    module = _build(model)
    try:
        missing, unexpected = module.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a shape does not fit: the last line names it
        raise InputError(f"{path} does not fit {model}: {last_line(str(error))}") from error
    if missing or unexpected:
        parts = [
            f"{what} {', '.join(printable(str(key), 60) for key in keys[:3])}"
            + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            for what, keys in (("missing", missing), ("unexpected", unexpected))
            if keys
        ]
        raise InputError(f"{path} does not fit {model}: {'; '.join(parts)}")
    notes += [
        f"the batch axis of {shape[0]} was fixed to 1"
        for shape in shapes
        if len(shape) > 1 and shape[0] > 1
    ]
    return trace(module.eval(), shapes)


def trace(module: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> ExportedProgram:
    """Trace an evaluated module on float32 inputs of these shapes, batch axis fixed to 1."""
    inputs = tuple(torch.zeros((1, *shape[1:]) if len(shape) > 1 else shape) for shape in shapes)
    given = ", ".join(shape_text(tuple(x.shape)) for x in inputs)
    try:
        with torch.no_grad():
            module(*inputs)
    except Exception as error:  # the module is the user's: it may raise anything
        raise InputError(
            f"the network does not take an input of {given}: {reason(error)}"
        ) from error
    try:
        return torch.export.export(module, inputs, strict=False)
    except Exception as error:
        raise UnsupportedError(f"torch.export cannot trace the network: {reason(error)}") from error


def _read(path: Path, notes: list[str]) -> dict[str, torch.Tensor]:
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, which could run code when loaded",
            "save it with torch.save(model.state_dict(), path)",
        ) from error
    except Exception as error:
        raise InputError(f"{path} is a damaged torch.save file: {reason(error)}") from error
    if isinstance(state, dict):
        for key in _WRAPPERS:
            if isinstance(state.get(key), dict) and _is_state(state[key]):
                notes.append(f"the state_dict was taken from the checkpoint's entry {key!r}")
                state = state[key]
                break
    if not isinstance(state, dict) or not _is_state(state):
        raise InputError(
            f"{path} is a torch.save file of a {type(state).__name__}, not a state_dict",
            "save it with torch.save(model.state_dict(), path)",
        )
    if all(key.startswith(_PARALLEL) for key in state):
        notes.append(f"the prefix {_PARALLEL!r} of DataParallel was removed from every key")
        state = {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    return cast(dict[str, torch.Tensor], state)


def _is_state(state: dict[Any, Any]) -> bool:
    return bool(state) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    )


def _build(model: str) -> nn.Module:
    """Run the user's own code, which "FILE.py:CALLABLE" or "MODULE:CALLABLE" names."""
    where, _, name = model.rpartition(":")
    if not where or not name.isidentifier():
        raise InputError(f"--model {model} is not FILE:CALLABLE", "such as --model net.py:Net")
    path = Path(where)
    try:
        if path.suffix == ".py" or path.is_file():
            if not path.is_file():
                raise InputError(f"--model: there is no file {where}")
            spec = importlib.util.spec_from_file_location("__r2b_user_model__", path)
            if spec is None or spec.loader is None:
                raise InputError(f"--model: {where} is not a Python file")
            code = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = code
            sys.path.insert(0, str(path.resolve().parent))  # it may import its neighbours
            spec.loader.exec_module(code)
        else:
            sys.path.insert(0, str(Path.cwd()))
            code = importlib.import_module(where)
        make = getattr(code, name, None)
        if not callable(make):
            raise InputError(f"--model: {where} has no callable {name}")
        module = make()
    except InputError:
        raise
    except Exception as error:  # the code is the user's: it may raise anything
        raise InputError(f"--model {model} failed: {reason(error)}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"--model: {name}() returned a {type(module).__name__}, not an nn.Module")
    return module
