"""What goes to stdout and what to stderr, and what a command leaves alone: tensorflow, the network, the home folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_nets import COMMAND, STAGES, contents, fault, run, spawn

from r2b_edge import targets


def test_export_prints_one_json_document(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    result = run("export", onnx_file, "-t", "rpi4", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["schema"] == 1
    assert report["target"] == "rpi4"
    assert report["check"] is None
    assert result.stdout == (tmp_path / "out" / "report.json").read_text()
    *told, last = result.stderr.splitlines()
    assert last.startswith(f"written to {tmp_path / 'out'}; next: r2b-edge check ")
    assert [line.startswith(stage) for line, stage in zip(told, STAGES, strict=True)] == [True] * 6


def test_check_prints_one_json_document(exported: Path) -> None:
    result = run("check", exported, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    executors = report["check"]["executors"]
    assert executors["graph"]["steps_exact"] == executors["graph"]["steps"] > 0
    assert executors["c"]["steps_exact"] == executors["c"]["steps"] > 0
    assert executors["c"]["top1_agreement"] == executors["c"]["samples"] == 8
    once = contents(exported)
    assert result.stdout.encode() == once["report.json"]
    assert result.stderr == ""
    assert run("check", exported).exit_code == 0
    assert contents(exported) == once  # a second check finds the same


def test_a_failure_prints_no_document(onnx_file: Path, tmp_path: Path) -> None:
    result = run("export", onnx_file, "-t", "none", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    fault(result)
    result = run("check", tmp_path / "none", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    fault(result)


def test_targets() -> None:
    listed = run("targets")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == targets.names()
    documents = json.loads(run("targets", "--json").stdout)
    assert [document["name"] for document in documents] == targets.names()
    one = json.loads(run("targets", "rpi4", "--json").stdout)
    assert one["core"] == "cortex-a72"
    wrong = run("targets", "raspberry4")
    assert wrong.exit_code == 2
    assert "unknown target 'raspberry4'" in fault(wrong)


def test_a_broken_target_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    load = targets.load

    def broken(name: str) -> targets.Target:
        return targets.parse("name = 3", name) if name == "rpi3" else load(name)

    monkeypatch.setattr(targets, "load", broken)
    listed = run("targets")
    assert listed.exit_code == 0
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == targets.names()
    (told,) = [line for line in lines if line.startswith("rpi3 ")]
    assert told.split(maxsplit=1)[1] == "target file rpi3.toml: name: 3 is not a text"
    documents = {entry["name"]: entry for entry in json.loads(run("targets", "--json").stdout)}
    assert documents["rpi3"]["error"].startswith("target file rpi3.toml")
    assert documents["rpi4"]["core"] == "cortex-a72"


@pytest.mark.parametrize("arguments", [[], ["export"], ["frobnicate"], ["export", "x", "--targt"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def on_a_terminal(*arguments: object, **environment: str) -> str:
    """What a command writes to a terminal, escape sequences included."""
    import pty

    master, slave = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(slave)
    written = b""
    try:
        while chunk := os.read(master, 1 << 16):
            written += chunk
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(master)
    assert process.wait(timeout=60) == 0
    return written.decode()


def test_colour_on_a_terminal_only(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    colour = re.compile(r"\x1b\[(\d+;)*(3[1-7]|9[1-7])m")
    arguments = ["export", onnx_file, "-t", "host", "-o", tmp_path / "out"]
    assert colour.search(on_a_terminal(*arguments))
    plain = on_a_terminal(*arguments, NO_COLOR="1")
    assert "Most bytes in C" in plain
    assert not colour.search(plain)
    piped = run(*arguments)
    assert "Most bytes in C" in piped.stdout
    assert "\x1b" not in piped.stdout + piped.stderr


def test_a_reader_that_leaves(exported: Path) -> None:
    """`r2b-edge check OUT | head -1`, where head has ended already."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [COMMAND, "targets", "--json"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode != 0


def test_exit_codes_reach_the_shell(onnx_file: Path, tmp_path: Path) -> None:
    done = spawn("export", onnx_file, "-t", "rpi", "-o", tmp_path / "out", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean" in fault(done)


def test_an_export_imports_neither_tensorflow_nor_torch(
    onnx_file: Path, tmp_path: Path, no_tools: Path
) -> None:
    """Nor does the child process that reads an .onnx file: both would fall into these traps."""
    traps, imported = tmp_path / "traps", tmp_path / "imported"
    for name in ("tensorflow", "larq_compute_engine", "torch"):
        (traps / name).mkdir(parents=True)
        trap = f"open({str(imported)!r}, 'a').write(__name__)\nraise ImportError(__name__)\n"
        (traps / name / "__init__.py").write_text(trap)
    environment = {"PYTHONPATH": str(traps)}
    done = spawn("export", onnx_file, "-t", "host", "-o", tmp_path / "out", env=environment)
    assert done.returncode == 0, done.stderr
    assert not imported.exists()
    code = "import contextlib\nwith contextlib.suppress(ImportError):\n    import tensorflow"
    subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, **environment}, check=True
    )
    assert imported.read_text() == "tensorflow"  # the traps work


def test_nothing_is_sent_or_remembered(tmp_path: Path) -> None:
    """onnxruntime keeps an identifier of the machine, and a queue of events to send, where it may."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORT_")}
    for key in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        environment[key] = str(tmp_path)
    subprocess.run(
        [sys.executable, "-c", "import r2b_edge, onnxruntime"],
        env={k: v for k, v in environment.items() if k not in ("CI", "GITHUB_ACTIONS", "TF_BUILD")},
        timeout=60,
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
