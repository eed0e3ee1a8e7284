from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge import targets
from r2b_edge.errors import ToolMissingError
from r2b_edge.runners.count import count_instructions, count_threads, obstacle
from r2b_edge.toolchain.build import Build

INPUTS = {0: struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)}


@pytest.mark.parametrize(
    ("name", "compiler"), [("rpi4", "gcc"), ("rpi4", "clang"), ("stm32f405", "gcc")]
)
def test_counts_are_exact_and_repeat(
    name: str, compiler: str, tiny_build: Callable[..., Build], tmp_path: Path
) -> None:
    runner = tiny_build(name, compiler).runner
    target = targets.load(name)
    # A comma in the folder's name must not end the plug-in's argument.
    first = count_instructions(runner, target, INPUTS, tmp_path / "a,b")
    second = count_instructions(runner, target, INPUTS, tmp_path / "c")
    assert first == second
    twice, plus_one = first.steps
    assert 10 < twice < 200
    assert 2 * 5000 < plus_one < 10 * 5000  # its loop over 5000 volatile bytes
    assert 0 < first.overhead < 3 * 20


def test_threads_are_counted_apart(tiny_build: Callable[..., Build], tmp_path: Path) -> None:
    """The first step has four tasks, the second none; threads 1 to 3 sleep in it."""
    runner, target = tiny_build("rpi4").runner, targets.load("rpi4")
    alone = count_instructions(runner, target, INPUTS, tmp_path)
    spread = count_threads(runner, target, INPUTS, tmp_path, 4)
    first, second = spread.steps
    assert len(first) == len(second) == 4
    assert all(10 < count < 2000 for count in first)
    assert second[0] == alone.steps[1]
    assert sum(second[1:]) < 1000  # from the last task to where they sleep
    assert spread.busiest == max(first) + second[0]
    assert spread.total == sum(first) + sum(second)


def test_the_counts_do_not_depend_on_the_data(
    tiny_build: Callable[..., Build], tmp_path: Path
) -> None:
    runner, target = tiny_build("rpi4").runner, targets.load("rpi4")
    assert count_instructions(runner, target, {}, tmp_path) == count_instructions(
        runner, target, INPUTS, tmp_path
    )


def test_more_work_is_more_instructions(tiny_build: Callable[..., Build], tmp_path: Path) -> None:
    # Optimisation off: the same steps, many more instructions.
    target = targets.load("rpi4")
    fast = count_instructions(tiny_build("rpi4").runner, target, INPUTS, tmp_path)
    slow_build = tiny_build(
        "rpi4", c_flags="-mcpu=cortex-a72 -fno-tree-vectorize -fno-unroll-loops"
    )
    slow = count_instructions(slow_build.runner, target, INPUTS, tmp_path)
    assert slow.steps[0] > fast.steps[0]


def test_a_target_without_an_emulator_is_told(tmp_path: Path) -> None:
    assert "runs on this machine itself" in str(obstacle(targets.load("host")))
    with pytest.raises(ToolMissingError, match="instructions cannot be counted"):
        count_instructions(tmp_path / "x", targets.load("host"), {}, tmp_path)


def test_an_emulator_without_plugins_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool("gcc")
    qemu = tmp_path / "qemu-aarch64"
    qemu.write_text("#!/bin/sh\necho qemu-aarch64 version 6.1.0\necho -strace\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert obstacle(targets.load("rpi4")) == "qemu-aarch64 version 6.1.0 was built without plug-ins"


def test_a_missing_emulator_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install qemu-user" in str(obstacle(targets.load("rpi4")))
