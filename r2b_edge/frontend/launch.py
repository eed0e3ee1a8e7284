"""Start the child process that reads a model, bound its time and memory, and relay what it says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from r2b_edge import errors
from r2b_edge.errors import InputError, R2BError
from r2b_edge.frontend.loaded import GIB
from r2b_edge.frontend.text import last_line

_ERRORS: dict[str, type[R2BError]] = {
    kind.__name__: kind for kind in (errors.InputError, errors.UnsupportedError)
}


def run_child(
    request: dict[str, Any], folder: Path, time_limit_s: float, what: str
) -> dict[str, Any]:
    """Let the child serve a request.

    Args:
        request: see `child.py`; plain JSON.
        folder: private to this call, removed by the caller; the child's temporary files go there.
        time_limit_s: wall-clock seconds.
        what: the model, as messages name it.

    Returns:
        the child's answer.

    Raises:
        InputError: the child said so, hit a limit, or died.
        UnsupportedError: the child said so.
    """
    request_file, response_file, log = folder / "request", folder / "response", folder / "log"
    request_file.write_text(json.dumps(request))
    command = [sys.executable, "-P", "-m", "r2b_edge.frontend.child"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(request_file), str(response_file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(folder),
            start_new_session=True,  # so that it can be killed with all that it starts
        )
        try:
            process.wait(time_limit_s)
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{what} took more than {time_limit_s:g} s to load and export"
            ) from error
        finally:  # Ctrl-C included
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not response_file.exists():
        raise InputError(f"{what} {_last_words(process.returncode, log, request)}")
    response: dict[str, Any] = json.loads(response_file.read_text())
    if "error" in response:
        said = response["error"]
        raise _ERRORS[said["kind"]](said["message"], said["hint"])
    if "memory" in response:
        raise InputError(f"{what} {_too_large(request)}")
    if "bug" in response:
        raise RuntimeError(f"the child process failed:\n{response['bug']}")
    loaded: dict[str, Any] = response["loaded"]
    return loaded


def _environment(folder: Path) -> dict[str, str]:
    environment = dict(os.environ)
    environment.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)  # would lift the next line
    environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # torch.export.load unpickles without it
    environment["OMP_NUM_THREADS"] = str(min(4, os.cpu_count() or 1))
    environment["TMPDIR"] = str(folder)
    return environment


def _last_words(status: int, log: Path, request: dict[str, Any]) -> str:
    text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
    if "MemoryError" in text or "bad_alloc" in text:
        return _too_large(request)
    if status == -signal.SIGKILL:
        return "was stopped while it was read, most likely for want of memory"
    death = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return f"made its reader die with {death}: {last_line(text)}"


def _too_large(request: dict[str, Any]) -> str:
    limit = request["memory_limit_bytes"] / GIB
    return f"needs more than {limit:.3g} GiB of memory to load and export"
