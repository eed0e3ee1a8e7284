"""Ctrl-C or `kill` at any stage: one line, exit code 130, OUT as it was, and nothing left behind anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_nets import COMMAND, STAGES

Earlier = tuple[Path, Callable[[], None]]
Process = subprocess.Popen[str]


def ctrl_c(process: int) -> None:
    """What a terminal does: every process of the group gets the signal."""
    os.killpg(process, signal.SIGINT)


def kill(process: int) -> None:
    """What `kill`, a service manager or a container does: only the command gets the signal."""
    os.kill(process, signal.SIGTERM)


def interrupted(
    arguments: list[object],
    ready: Callable[[Process], None],
    temporary: Path,
    press: Callable[[int], None] = ctrl_c,
) -> tuple[str, int]:
    """Start the command, press Ctrl-C once it is `ready`: its lines after that, and its exit code."""
    temporary.mkdir()
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,  # a process group of its own, as a terminal gives it to a command
    )
    try:
        ready(process)
        press(process.pid)
        out, rest = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out == ""
    assert list(temporary.iterdir()) == []
    said = [line for line in rest.splitlines() if line and not line.startswith(STAGES)]
    assert said == ["r2b-edge: interrupted"], rest
    return rest, process.returncode


def says(stage: str) -> Callable[[Process], None]:
    """Ready when the command names this stage."""

    def ready(process: Process) -> None:
        assert process.stderr is not None
        assert any(line.startswith(stage) for line in process.stderr)

    return ready


def until(condition: Callable[[], object]) -> Callable[[Process], None]:
    """Ready when the condition holds."""

    def ready(process: Process) -> None:
        while not condition():
            assert process.poll() is None, "it ended before"
            time.sleep(0.01)

    return ready


@pytest.mark.parametrize("press", [ctrl_c, kill])
@pytest.mark.parametrize("stage", [STAGES[0], *STAGES[3:]])
def test_an_export_is_interrupted(
    stage: str, press: Callable[[int], None], onnx_file: Path, earlier: Earlier, tmp_path: Path
) -> None:
    out, intact = earlier
    arguments = ["export", onnx_file, "-t", "host", "-o", out]
    _, code = interrupted(arguments, says(stage), tmp_path / "temporary", press)
    assert code == 130
    intact()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_reader_of_the_model_ends_too(onnx_file: Path, tmp_path: Path) -> None:
    """It has a process group of its own, which Ctrl-C does not reach: the command ends it."""

    def readers() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
            if "r2b_edge.frontend.child" in command and str(tmp_path) in command:
                found.append(command)
        return found

    arguments = ["export", onnx_file, "-t", "host", "-o", tmp_path / "out"]
    _, code = interrupted(arguments, until(readers), tmp_path / "temporary")
    assert code == 130
    assert readers() == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize("press", [ctrl_c, kill])
def test_a_check_is_interrupted(
    press: Callable[[int], None], exported: Path, tmp_path: Path
) -> None:
    report = (exported / "report.json").read_bytes()
    temporary = tmp_path / "temporary"
    building = until(lambda: list(temporary.glob("r2b-check-*/build")))
    _, code = interrupted(["check", exported], building, temporary, press)
    assert code == 130
    assert (exported / "report.json").read_bytes() == report
