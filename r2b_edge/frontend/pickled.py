"""Unpickle a file, which --allow-pickle asked for. Runs in the child process only: it imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from r2b_edge.errors import InputError
from r2b_edge.frontend import state_dict
from r2b_edge.frontend.text import reason

_WRAPPERS = ("model", "net", "network", "module", "ema")


def load(path: Path, model: str | None, notes: list[str]) -> nn.Module:
    """The nn.Module in a torch.save file; or, if `model` is given, that network with the weights in the file.

    A checkpoint that wraps either in a dictionary is fine. Unpickling runs whatever code the file's author put there.

    Raises:
        InputError: damaged, its classes cannot be imported, or it holds neither.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as error:
        if any(module in str(error) for module in ("__main__", "r2b_edge.frontend.child")):
            raise InputError(
                f"{path} was pickled by the script that defines its class, which has no module to import it from",
                "save it there with r2b_edge.save(model, example_inputs, path)",
            ) from error
        raise InputError(
            f"{path} was pickled with classes that are not here: {reason(error)}",
            "name the folder of the modules that define them with --source-dir DIR",
        ) from error
    except Exception as error:  # unpickling runs the classes' own code
        raise InputError(f"{path} cannot be unpickled: {reason(error)}") from error
    if model is not None:
        return state_dict.fill(path, content, model, notes)
    if isinstance(content, dict):
        for key in _WRAPPERS:
            if isinstance(content.get(key), nn.Module):
                notes.append(f"the network was taken from the checkpoint's entry {key!r}")
                content = content[key]
                break
    if isinstance(content, nn.DataParallel):
        notes.append("the network was taken out of its DataParallel")
        content = content.module
    if not isinstance(content, nn.Module):
        raise InputError(
            f"{path} is a torch.save file of a {type(content).__name__}, not of a network",
            "if it holds weights, name their network with --model FILE.py:CALLABLE",
        )
    return content.eval()
