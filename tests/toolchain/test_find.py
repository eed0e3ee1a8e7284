from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge import targets
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.toolchain import find


@pytest.mark.parametrize(
    ("target", "compiler", "package"),
    [
        ("host", "gcc", "apt-get install gcc libc6-dev"),
        ("host", "clang-17", "apt-get install clang-17"),
        ("rpi4", None, "apt-get install gcc-aarch64-linux-gnu"),
        ("rpi4", "gcc-13", "apt-get install gcc-13-aarch64-linux-gnu"),
        ("rpi4", "clang", "apt-get install gcc-aarch64-linux-gnu"),
        ("stm32f405", None, "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ],
)
def test_a_missing_compiler_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, compiler: str | None, package: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        find.c_compiler(targets.load(target), compiler)
    assert package in str(caught.value)


def test_a_missing_build_tool_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install ninja-build"):
        find.generator()
    with pytest.raises(ToolMissingError, match="apt-get install qemu-user"):
        find.tool("qemu-aarch64")


def test_bare_metal_without_a_c_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("gcc", "ar"):
        file = tmp_path / f"arm-none-eabi-{tool}"
        file.write_text("#!/bin/sh\necho libc.a\n")  # what GCC says of a file that it does not find
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install libnewlib-arm-none-eabi"):
        find.c_compiler(targets.load("stm32f405"))


def test_bare_metal_is_built_with_gcc_only() -> None:
    with pytest.raises(InputError, match="stm32f405 is built with GCC only"):
        find.c_compiler(targets.load("stm32f405"), "clang")


def test_a_tool_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "gcc"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ToolMissingError, match="does not run"):
        find.version(broken)


@pytest.mark.parametrize("name", ["tcc", "gcc;id", "../gcc", "gcc-", "", "clang-17\n"])
def test_an_unknown_compiler(name: str) -> None:
    with pytest.raises(InputError, match="unknown compiler"):
        find.c_compiler(targets.load("host"), name)


@pytest.mark.parametrize("kind", ["gcc", "clang"])
def test_the_compiler_is_described(kind: str, require_tool: Callable[..., None]) -> None:
    require_tool(kind)
    compiler = find.c_compiler(targets.load("host"), kind)
    assert compiler.kind == kind
    assert compiler.path.is_absolute()
    assert kind in compiler.version
