"""The pool of a program's constants: equal arrays are stored once."""

from __future__ import annotations

import numpy as np

from r2b_edge.exporters.c.program import Constant
from r2b_edge.graph.graph import Array


class Constants:
    """Collects the const arrays of a program under generated names.

    Args:
        prefix: of every symbol.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: dict[tuple[str, bytes], Constant] = {}

    def add(self, name: str, array: Array, comment: str) -> str:
        """The symbol of an array: the one of an equal array that is there, else <prefix>_<name>."""
        assert array.dtype in (np.float32, np.float16, np.uint32, np.int8), array.dtype
        key = (array.dtype.str, array.tobytes())
        if key not in self._known:
            self._known[key] = Constant(f"r2b_{self._prefix}_{name}", array, comment)
        return self._known[key].symbol

    @property
    def all(self) -> tuple[Constant, ...]:
        """Every constant once, in the order of first use."""
        return tuple(self._known.values())
