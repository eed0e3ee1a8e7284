"""Machines without a cross-compiler, an emulator or a working CMake: what is left is done, the rest is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_nets import contents, fault, run

TARGET = "rpi4"
TOOLCHAIN = (
    "cmake",
    "ninja",
    "aarch64-linux-gnu-gcc",
    "aarch64-linux-gnu-ar",
    "aarch64-linux-gnu-ranlib",
)


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_tool: Callable[..., None]
) -> Callable[..., Path]:
    """only(*tools) leaves just these on PATH; the folder they are in."""

    def leave(*tools: str) -> Path:
        require_tool(*tools)
        found = {tool: shutil.which(tool) for tool in tools}
        folder = tmp_path / "bin"
        folder.mkdir()
        for tool, real in found.items():
            script(folder / tool, f'exec "{real}" "$@"')
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return leave


def export(model: Path, out: Path) -> dict[str, object]:
    result = run("export", model, "--target", TARGET, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    report: dict[str, object] = json.loads(result.stdout)
    return report


@pytest.mark.parametrize(
    ("tools", "note"),
    [
        ((), "not built: cmake is not installed; apt-get install cmake"),
        (
            ("cmake", "ninja"),
            "not built: aarch64-linux-gnu-gcc is not installed; apt-get install gcc-aarch64-linux-gnu"
            " libc6-dev-arm64-cross",
        ),
        (
            ("cmake", "ninja", "aarch64-linux-gnu-gcc"),
            "not built: aarch64-linux-gnu-ar is not installed; apt-get install binutils-aarch64-linux-gnu",
        ),
    ],
)
def test_an_export_without_a_compiler(
    tools: tuple[str, ...], note: str, onnx_file: Path, tmp_path: Path, only: Callable[..., Path]
) -> None:
    only(*tools)
    report = export(onnx_file, tmp_path / "out")
    memory = report["memory"]
    assert isinstance(memory, dict)
    for unknown in ("flash_bytes", "ram_bytes", "stack_bytes"):
        assert memory[unknown] is None
    assert memory["weight_bytes"] > 0
    assert memory["arena_bytes"] > 0
    assert report["notes"] == [note]
    assert (tmp_path / "out" / "c" / "CMakeLists.txt").is_file()
    assert (tmp_path / "out" / "model.tflite").is_file()


def test_firmware_without_its_compiler(
    onnx_file: Path, tmp_path: Path, only: Callable[..., Path]
) -> None:
    """c/ is written and nothing of it measured; a check, which has to build it, is exit 5."""
    only("cmake", "ninja", "qemu-system-arm")
    missing = "arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    out = tmp_path / "out"
    exported = run("export", onnx_file, "--target", "microbit", "--out", out, "--json")
    assert exported.exit_code == 0, exported.stderr
    report = json.loads(exported.stdout)
    assert [report["memory"][k] for k in ("flash_bytes", "ram_bytes", "stack_bytes")] == [None] * 3
    assert report["notes"] == [f"not built: {missing}"]
    assert (out / "c/runner/port_uart.c").is_file()
    checked = run("check", out)
    assert checked.exit_code == 5, checked.stderr
    assert missing in checked.stderr


def test_an_export_without_the_emulator(
    onnx_file: Path, tmp_path: Path, only: Callable[..., Path]
) -> None:
    """Flash is measured, which needs no run; the stack is not, and RAM with it."""
    only(*TOOLCHAIN)
    report = export(onnx_file, tmp_path / "out")
    memory = report["memory"]
    assert isinstance(memory, dict)
    assert memory["flash_bytes"] > memory["weight_bytes"]
    assert memory["ram_bytes"] is None
    assert report["notes"] == [
        "stack not measured: qemu-aarch64 is not installed; apt-get install qemu-user"
    ]


def test_a_cmake_that_does_not_work(
    onnx_file: Path, tmp_path: Path, only: Callable[..., Path]
) -> None:
    folder = only("ninja", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ar")
    script(folder / "cmake", f'echo "CMake Error: $4/CMakeCache.txt, {tmp_path}/x"; exit 1')
    report = export(onnx_file, tmp_path / "out")
    (note,) = report["notes"]  # type: ignore[misc]
    assert note.startswith(
        "not built: aarch64-linux-gnu-gcc and CMake cannot build for rpi4: CMake Error: CMakeCache.txt"
    )


@pytest.mark.parametrize(("tools", "package"), [((), "qemu-user"), (("qemu-aarch64",), "cmake")])
def test_a_check_that_cannot_run_the_program(
    tools: tuple[str, ...],
    package: str,
    onnx_file: Path,
    tmp_path: Path,
    only: Callable[..., Path],
) -> None:
    """The other executors are checked and reported, and the missing tool is a failure: exit code 5."""
    only(*tools)
    out = tmp_path / "out"
    export(onnx_file, out)
    result = run("check", out, "--json")
    assert result.exit_code == 5, result.stderr
    said = fault(result)
    assert said.startswith("the C program was not checked: ")
    assert said.endswith(f"apt-get install {package}")
    report = json.loads(result.stdout)
    assert contents(out)["report.json"].decode() == result.stdout
    executors = report["check"]["executors"]
    assert executors["graph"]["steps_exact"] == executors["graph"]["steps"] > 0
    assert executors["c"] == {"skipped": said.removeprefix("the C program was not checked: ")}
    assert {step["exact"] for step in report["steps"]} == {None}
    assert report["instructions"] is None


def test_a_check_that_cannot_count(
    onnx_file: Path, tmp_path: Path, only: Callable[..., Path]
) -> None:
    """gcc builds the plug-in that counts: without it the check is complete, but for the instructions."""
    folder = only(*TOOLCHAIN, "qemu-aarch64", "gcc", "as", "ld")
    out = tmp_path / "out"
    export(onnx_file, out)
    counted = run("check", out, "--json")
    assert counted.exit_code == 0, counted.stderr
    report = json.loads(counted.stdout)
    assert report["instructions"]["total"] == report["instructions"]["overhead"] + sum(
        step["instructions"] for step in report["steps"]
    )
    assert report["notes"] == []

    script(folder / "gcc", "echo no such header >&2; exit 1")
    broken = run("check", out, "--json")
    assert broken.exit_code == 0, broken.stderr
    report = json.loads(broken.stdout)
    assert report["check"]["executors"]["c"]["steps_exact"] == len(report["steps"])
    assert report["instructions"] is None
    (note,) = report["notes"]
    assert note.startswith("instructions not counted: gcc cannot build QEMU's plug-in")
