"""Watch a process that may crash, hang or print without end: bound its time, keep its last words, relay its answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r2b_edge.errors import InputError, R2BError, UnsupportedError
from r2b_edge.frontend.loaded import GIB
from r2b_edge.frontend.text import last_line

_TAIL_BYTES = 20_000
_POLL_S = 0.02


class ExporterFailedError(UnsupportedError):
    """An exporter of PyTorch gave up or died on a network that was read well: another exporter may do."""


class Words:
    """Reads what a process prints, as long as it prints, and keeps the end of it.

    Args:
        descriptor: the reading end of a pipe, closed at the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._tail = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._descriptor, 1 << 16):
            self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        os.close(self._descriptor)

    def text(self) -> str:
        """The last words. Does not wait for what the process left running in the background."""
        self._thread.join(2)
        return self._tail.decode("utf-8", "replace")


def watch(
    pid: int,
    poll: Callable[[], int | None],
    limit_s: float,
    soft_limit_s: float,
    stage: Path,
) -> tuple[int, bool]:
    """Wait for a process, and end it with all that it started.

    Args:
        pid: the process, the first of its process group.
        poll: its status once it has ended: an exit status, or minus the number of a signal.
        limit_s: wall-clock seconds that it may take.
        soft_limit_s: seconds that it may take where the file `stage` says that an exporter is at work.
        stage: made by the process when it begins to export.

    Returns:
        its status, and whether it was out of time.
    """
    begun = time.monotonic()
    late = False
    try:
        while (status := poll()) is None:
            spent = time.monotonic() - begun
            if spent > limit_s or (spent > soft_limit_s and stage.exists()):
                late = True
                break
            time.sleep(_POLL_S)
    finally:  # Ctrl-C included
        if poll() is None:
            os.kill(pid, signal.SIGKILL)  # a fork that has no group of its own yet
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        while (ended := poll()) is None:
            time.sleep(_POLL_S)
    return (ended if status is None else status), late


def relay(
    folder: Path, status: int, late_s: float | None, said: str, memory: int, what: str
) -> dict[str, Any]:
    """What a process answered, or the error that tells why it did not.

    Args:
        folder: holds its "response" and perhaps its "stage".
        status: see `watch`.
        late_s: the seconds after which it was ended; None: it ended by itself.
        said: what it printed last.
        memory: bytes that it was allowed.
        what: the model, as messages name it.

    Raises:
        InputError: it said so, hit a limit, or died.
        UnsupportedError: it said so.
        ExporterFailedError: it died, or hit a limit, after it had begun to export.
    """
    response_file = folder / "response"
    exporting = (folder / "stage").exists()
    died: type[R2BError] = ExporterFailedError if exporting else InputError
    if late_s is not None:
        raise died(f"{what} took more than {late_s:.3g} s to load and export")
    if not response_file.exists():
        raise died(f"{what} {_last_words(status, said, memory)}")
    response: dict[str, Any] = json.loads(response_file.read_text())
    if "error" in response:
        error = response["error"]
        raise _ERRORS[error["kind"]](error["message"], error["hint"])
    if "memory" in response:
        raise died(f"{what} {_too_large(memory)}")
    if "bug" in response:
        raise RuntimeError(f"the child process failed:\n{response['bug']}")
    loaded: dict[str, Any] = response["loaded"]
    return loaded


_ERRORS: dict[str, type[R2BError]] = {
    kind.__name__: kind for kind in (InputError, UnsupportedError, ExporterFailedError)
}


def _last_words(status: int, text: str, memory: int) -> str:
    if "MemoryError" in text or "bad_alloc" in text:
        return _too_large(memory)
    if status == -signal.SIGKILL:
        return "was stopped while it was read, most likely for want of memory"
    death = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return f"made its reader die with {death}: {last_line(text)}"


def _too_large(memory: int) -> str:
    return f"needs more than {memory / GIB:.3g} GiB of memory to load and export"
