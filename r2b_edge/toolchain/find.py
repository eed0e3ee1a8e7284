"""Find compilers, CMake and emulators, and name the Debian package of what is missing.

Nothing here falls back: the tool that was asked for is found, or ToolMissingError says what to install.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.targets import Target

_PACKAGES = {
    "ar": "binutils",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "make": "make",
    "gcc": "gcc libc6-dev",
    "clang": "clang",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "aarch64-linux-gnu-objdump": "binutils-aarch64-linux-gnu",
    "llvm-mca": "llvm",
    "qemu-aarch64": "qemu-user",
    "qemu-system-arm": "qemu-system-arm",
}


@dataclass(frozen=True)
class Compiler:
    """A C compiler that builds for one target.

    Attributes:
        kind: its family.
        path: the executable.
        version: the first line of `--version`, such as "gcc (Debian 12.2.0-14) 12.2.0".
    """

    kind: Literal["gcc", "clang"]
    path: Path
    version: str


def packages(tool: str) -> str:
    """The Debian packages that bring `tool`, separated by blanks; the tool's own name if unknown."""
    if tool in _PACKAGES:
        return _PACKAGES[tool]
    if tool.endswith("-ar"):
        return f"binutils-{tool.removesuffix('-ar')}"
    # gcc-13 and aarch64-linux-gnu-gcc-13 come from gcc-13 and gcc-13-aarch64-linux-gnu.
    versioned = re.fullmatch(r"(?:(.+)-)?(gcc|clang)-(\d+)", tool)
    if versioned is None:
        return tool
    triple, kind, number = versioned.groups()
    return f"{kind}-{number}-{triple}" if triple else f"{kind}-{number}"


def tool(name: str) -> Path:
    """The absolute path of the executable `name`.

    Raises:
        ToolMissingError: it is not on PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise ToolMissingError(f"{name} is not installed", f"apt-get install {packages(name)}")
    return Path(found).absolute()


def version(path: Path) -> str:
    """The first line that `path --version` prints.

    Raises:
        ToolMissingError: the tool does not run.
    """
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissingError(
            f"{path} does not run ({error})", f"apt-get install --reinstall {packages(path.name)}"
        ) from error
    return done.stdout.partition("\n")[0].strip()


def c_compiler(target: Target, name: str | None = None) -> Compiler:
    """The C compiler for a target.

    Args:
        target: what to build for.
        name: "gcc" (the default), "clang", or one of these with a version, such as "gcc-13".

    Raises:
        InputError: `name` is none of these, or Clang for bare metal.
        ToolMissingError: it is not installed, or lacks the target's linker and C library.
    """
    wanted = re.fullmatch(r"(gcc|clang)(-\d+)?", "gcc" if name is None else name)
    if wanted is None:
        raise InputError(f"unknown compiler {name!r}", "use gcc, clang, or such as gcc-13")
    if wanted[1] == "clang" and target.os == "none":
        raise InputError(
            f"target {target.name} is built with GCC only",
            "Clang finds no C library for bare metal",
        )
    prefix = f"{target.triple}-" if target.triple else ""
    if wanted[1] == "clang":
        if prefix:
            tool(f"{prefix}gcc")  # its linker, start files and C library serve Clang too
        path = tool(wanted[0])
    else:
        path = tool(f"{prefix}{wanted[0]}")
    tool(f"{prefix}ar")  # GCC runs without it, but no library can be made
    if target.os == "none":
        _bare_c_library(path)
    return Compiler("clang" if wanted[1] == "clang" else "gcc", path, version(path))


def _bare_c_library(gcc: Path) -> None:
    """A bare-metal GCC does without its C library until a program asks for it: better told at once."""
    done = subprocess.run(
        [gcc, "-print-file-name=libc.a"], capture_output=True, text=True, timeout=60, check=False
    )
    if not Path(done.stdout.strip()).is_absolute():
        raise ToolMissingError(
            f"{gcc.name} has no C library", "apt-get install libnewlib-arm-none-eabi"
        )


def generator() -> str:
    """The CMake generator: Ninja where it is installed, else Make.

    Raises:
        ToolMissingError: neither is installed.
    """
    if shutil.which("ninja"):
        return "Ninja"
    if shutil.which("make"):
        return "Unix Makefiles"
    raise ToolMissingError(
        "neither ninja nor make is installed", f"apt-get install {packages('ninja')}"
    )
