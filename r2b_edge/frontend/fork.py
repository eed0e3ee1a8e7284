"""Do work on an object of the user's in a copy of this process, which may crash, hang or print as it likes."""

from __future__ import annotations

import faulthandler
import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from r2b_edge.frontend.answer import answer, limit
from r2b_edge.frontend.contain import Words, relay, watch


def run_fork(
    work: Callable[[], None], folder: Path, time_limit_s: float, memory_limit_bytes: int, what: str
) -> None:
    """Run `work` in a fork, for what a child that is started anew cannot have: an object in memory.

    Args:
        work: leaves what it makes in files. It counts as export: its failures are an exporter's.
        folder: private to this call, removed by the caller.
        time_limit_s: wall-clock seconds.
        memory_limit_bytes: private memory, beyond what this process has already.
        what: the model, as messages name it.

    Raises:
        InputError: `work` raised it.
        UnsupportedError: `work` raised it.
        ExporterFailedError: `work` raised it, died or hit a limit.
    """
    response, stage = folder / "response", folder / "stage"
    response.unlink(missing_ok=True)
    stage.touch()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads. PyTorch's own are not used in the fork, see _serve.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _serve(work, response, memory_limit_bytes, writing)
    os.close(writing)
    words = Words(reading)
    ended: list[int] = []

    def poll() -> int | None:
        if not ended and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return ended[0] if ended else None

    status, late = watch(pid, poll, time_limit_s, time_limit_s, stage)
    late_s = time_limit_s if late else None
    relay(folder, status, late_s, words.text(), memory_limit_bytes, what)


def _serve(work: Callable[[], None], response: Path, memory: int, writing: int) -> None:
    """The fork's whole life: it never returns into the code of the process that it was copied from."""
    status = 1
    try:
        faulthandler.disable()  # it writes to where the user has it
        os.setsid()  # so that it can be killed with all that it starts
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        limit(memory + _data_bytes())
        import torch

        # The threads of a pool are not copied: whoever waits for them hangs.
        torch.set_num_threads(1)
        answer(lambda: _nothing(work), response)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _nothing(work: Callable[[], None]) -> dict[str, object]:
    work()
    return {}


def _data_bytes() -> int:
    """Private memory of this process, as RLIMIT_DATA counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0
