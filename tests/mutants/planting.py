"""How a bug is planted: text replaced by other text, in a file of an export's c/ or in a function of the tool."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

import pytest

Place = str | Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """A known bug.

    Args:
        name: unique.
        net: a key of mutant_nets.NETS.
        place: a file of c/, or a function.
        old: what is there; a regular expression in generated files ("model/..."), else plain text.
        new: what stands in its place.
        at: the graph node in whose step the bug must show first; "" where all steps are right alone and the whole run
            is not.
        why: the kind of real bug that it stands for.
        count: how often `old` must be there, all of which are replaced.
        executor: who must find it: "c", "tflite" or "graph".
    """

    name: str
    net: str
    place: Place
    old: str
    new: str
    at: str
    why: str
    count: int = 1
    executor: str = "c"


def replaced(text: str, mutant: Mutant) -> str:
    """`text` with the bug; fails where the mutant is stale, so that it cannot pass for caught."""
    generated = isinstance(mutant.place, str) and mutant.place.startswith("model/")
    old = mutant.old if generated else re.escape(mutant.old)
    new = mutant.new if generated else mutant.new.replace("\\", r"\\")
    text, times = re.subn(old, new, text)
    assert times == mutant.count, f"{mutant.name}: {times} places, not {mutant.count}"
    return text


def plant(mutant: Mutant, patch: pytest.MonkeyPatch) -> None:
    """Exchange the code of the function itself, so that everybody who has imported or registered it gets the bug."""
    function = mutant.place
    assert not isinstance(function, str)
    patch.setattr(function, "__code__", _code(function, mutant))


def _code(function: Callable[..., Any], mutant: Mutant) -> CodeType:
    source = replaced(textwrap.dedent(inspect.getsource(function)), mutant)
    module = ast.parse(source)
    (definition,) = module.body
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []  # they would register it again
    flags = annotations.compiler_flag
    code = compile(module, f"<mutant {mutant.name}>", "exec", flags, dont_inherit=True)
    names: dict[str, Any] = {}
    exec(code, inspect.getmodule(function).__dict__, names)  # our own source
    made: CodeType = names[definition.name].__code__
    return made
