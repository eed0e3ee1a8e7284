"""Run the user's own code, which was asked for by name. Runs in the child process only: it imports torch."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from torch import nn

from r2b_edge.errors import InputError
from r2b_edge.frontend.text import reason


def build(model: str) -> nn.Module:
    """The nn.Module that "FILE.py:CALLABLE" or "MODULE:CALLABLE" makes.

    Raises:
        InputError: there is no such code, it fails, or makes something else.
    """
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
            find_modules_in(path.resolve().parent)  # it may import its neighbours
            spec.loader.exec_module(code)
        else:
            find_modules_in(Path.cwd())
            code = importlib.import_module(where)
        make = getattr(code, name, None)
        if not callable(make):
            raise InputError(f"--model: {where} has no callable {name}")
        module = make()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the code is the user's: it may raise anything
        raise InputError(f"--model {model} failed: {reason(error)}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"--model: {name}() returned a {type(module).__name__}, not an nn.Module")
    return module


def find_modules_in(folder: Path) -> None:
    """Let Python look into this folder first when something is imported."""
    sys.path.insert(0, str(folder.resolve()))
