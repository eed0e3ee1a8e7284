"""What a contained process does around its work: bound its memory, and write down its answer or its error."""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r2b_edge.errors import R2BError

_PR_SET_PDEATHSIG = 1
# What torch, C++ and onnxruntime say.
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "bad allocation", "Failed to allocate memory")


def answer(work: Callable[[], dict[str, Any]], response_file: Path) -> None:
    """Write {"loaded": what `work` returns}, {"error"}, {"memory"} or {"bug"}."""
    response: dict[str, Any]
    try:
        response = {"loaded": work()}
    except Exception as error:
        response = _describe(error)
    response_file.write_text(json.dumps(response))


def _describe(error: Exception) -> dict[str, Any]:
    cause: BaseException | None = error
    while cause is not None:  # whatever was made of it, the memory limit is what it was about
        if isinstance(cause, MemoryError) or any(text in str(cause) for text in _NO_MEMORY):
            return {"memory": True}
        cause = cause.__cause__
    if isinstance(error, R2BError):
        kind = type(error).__name__
        return {"error": {"kind": kind, "message": error.message, "hint": error.hint}}
    return {"bug": "".join(traceback.format_exception(error))}


def limit(memory: int) -> None:
    """Bound the process to `memory` bytes of private data, leave no core file, and die with the parent."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        memory = min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # do not outlive a parent that was killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
