"""A state_dict and the network it belongs to. Runs in the child process only: it imports torch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from r2b_edge.errors import InputError
from r2b_edge.frontend.text import last_line, printable, reason
from r2b_edge.frontend.user_code import build

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
_PARALLEL = "module."


def load(path: Path, model: str, notes: list[str]) -> nn.Module:
    """The network that `model` names with the weights of a torch.save file.

    Raises:
        InputError: the file is no state_dict, `model` cannot be called, keys or shapes do not fit.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, which could run code when loaded",
            "save it with torch.save(model.state_dict(), path)",
        ) from error
    except Exception as error:
        raise InputError(f"{path} is a damaged torch.save file: {reason(error)}") from error
    return fill(path, content, model, notes)


def fill(path: Path, content: Any, model: str, notes: list[str]) -> nn.Module:
    """The network that `model` names, evaluated, with the weights out of a file's content.

    Raises:
        InputError: see `load`.
    """
    state = _find_state(path, content, notes)
    module = build(model)
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
    return module.eval()


def _find_state(path: Path, content: Any, notes: list[str]) -> dict[str, torch.Tensor]:
    if isinstance(content, dict):
        for key in _WRAPPERS:
            if _is_state(content.get(key)):
                notes.append(f"the state_dict was taken from the checkpoint's entry {key!r}")
                content = content[key]
                break
    if not _is_state(content):
        kind = type(content).__name__
        if isinstance(content, dict) and not content:
            kind += " without entries"
        raise InputError(
            f"{path} is not a state_dict but a {kind}",
            "save it with torch.save(model.state_dict(), path)",
        )
    state: dict[str, torch.Tensor] = content
    if all(key.startswith(_PARALLEL) for key in state):
        notes.append(f"the prefix {_PARALLEL!r} of DataParallel was removed from every key")
        state = {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    return state


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(
            isinstance(key, str) and isinstance(value, torch.Tensor)
            for key, value in content.items()
        )
    )
