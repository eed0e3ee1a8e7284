"""Start the child process that reads a model file, bound its time and memory, and relay what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from r2b_edge.frontend.contain import Words, relay, watch


def run_child(
    request: dict[str, Any],
    folder: Path,
    time_limit_s: float,
    what: str,
    export_limit_s: float | None = None,
) -> dict[str, Any]:
    """Let the child serve a request.

    Args:
        request: see `child.py`; plain JSON.
        folder: private to this call, removed by the caller; the child's temporary files go there.
        time_limit_s: wall-clock seconds.
        what: the model, as messages name it.
        export_limit_s: seconds after which an exporter at work is given up; None: `time_limit_s`.

    Returns:
        the child's answer.

    Raises:
        InputError: the child said so, hit a limit, or died.
        UnsupportedError: the child said so.
        ExporterFailedError: the exporter gave up, died or hit a limit.
    """
    request_file, stage = folder / "request", folder / "stage"
    request_file.write_text(json.dumps({**request, "stage": str(stage)}))
    command = [sys.executable, "-P", "-m", "r2b_edge.frontend.child"]
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*command, str(request_file), str(folder / "response")],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        env=_environment(folder, request["allow_pickle"]),
        start_new_session=True,  # so that it can be killed with all that it starts
    )
    os.close(writing)
    words = Words(reading)
    soft = time_limit_s if export_limit_s is None else export_limit_s
    status, late = watch(process.pid, process.poll, time_limit_s, soft, stage)
    late_s = (soft if stage.exists() else time_limit_s) if late else None
    return relay(folder, status, late_s, words.text(), request["memory_limit_bytes"], what)


def _environment(folder: Path, allow_pickle: bool) -> dict[str, str]:
    environment = dict(os.environ)
    # One lifts the other. torch.export.load unpickles without the second.
    environment.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    environment.pop("TORCH_FORCE_WEIGHTS_ONLY_LOAD", None)
    if not allow_pickle:
        environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    environment["OMP_NUM_THREADS"] = str(min(4, os.cpu_count() or 1))
    environment["TMPDIR"] = str(folder)
    return environment
