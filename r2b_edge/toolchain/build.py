"""Build an exported `c/` folder with CMake, in another folder."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from r2b_edge.errors import InputError, MismatchError, R2BError, ToolMissingError
from r2b_edge.targets import Target
from r2b_edge.toolchain import find

TIME_LIMIT_S = 900
_TELLING = (re.compile(r"[Ee]rror: |undefined reference|cannot find "), re.compile(r"CMake Error"))
"""The line that says what is wrong: the compiler's, the assembler's or the linker's own, else CMake's."""


_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
"""What GNU ld says of a bare-metal program that is larger than the memory in its linker script."""


class BuildError(R2BError):
    """A C project does not compile although the compiler works: a bug in it, unless somebody has changed it."""


@dataclass(frozen=True)
class Build:
    """What was built.

    Attributes:
        runner: the program that serves the model (see firmware_templates/project/runner.c).
        with_model: the program that holds the model and its arena, to be measured, not run.
        without_model: the same program without them.
        compiler: what built them.
    """

    runner: Path
    with_model: Path
    without_model: Path
    compiler: find.Compiler


def build(
    c_dir: Path,
    target: Target,
    build_dir: Path,
    *,
    sanitize: bool = False,
    compiler: str | None = None,
    defines: Mapping[str, str] | None = None,
) -> Build:
    """Configure and build an exported project; what CMake prints goes to `build_dir/build.log`.

    Args:
        c_dir: the folder with CMakeLists.txt and toolchain.cmake; nothing is written into it.
        target: what to build for, the one that the folder was exported for.
        build_dir: made where it does not exist; an earlier build of the same in it is continued.
        sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer; only for a target that runs here.
        compiler: see `find.c_compiler`.
        defines: more CMake cache entries.

    Raises:
        InputError: `c_dir` is no exported project, or cannot be sanitized.
        ToolMissingError: a tool is not installed, or cannot build even an empty program.
        MismatchError: a program is larger than the target's memory.
        BuildError: the project does not compile; the log's last lines are a note.
    """
    for needed in ("CMakeLists.txt", "toolchain.cmake"):
        if not (c_dir / needed).is_file():
            raise InputError(f"{c_dir} is no exported C project: it has no {needed}")
    if sanitize and target.arch != "native":
        raise InputError(f"target {target.name} cannot be built with sanitizers", "use target host")
    cmake = find.tool("cmake")
    cc = find.c_compiler(target, compiler)
    entries = {
        "CMAKE_TOOLCHAIN_FILE": str(c_dir.absolute() / "toolchain.cmake"),
        "CMAKE_C_COMPILER": str(cc.path),
        "CMAKE_BUILD_TYPE": "Release",
        "R2B_SANITIZE": "ON" if sanitize else "OFF",
        **(defines or {}),
    }
    build_dir.mkdir(parents=True, exist_ok=True)
    log = build_dir / "build.log"
    log.write_bytes(b"")

    configure: list[str | Path] = [
        cmake,
        "-S",
        c_dir.absolute(),
        "-B",
        build_dir.absolute(),
        "-G",
        find.generator(),
    ]
    if _run([*configure, *(f"-D{key}={value}" for key, value in entries.items())], log) != 0:
        raise _failure(
            ToolMissingError, f"{cc.path.name} and CMake cannot build for {target.name}", c_dir, log
        )
    jobs = str(os.cpu_count() or 1)
    if _run([cmake, "--build", build_dir.absolute(), "--parallel", jobs], log) != 0:
        if excess := _excess(log):
            raise MismatchError(
                f"the linked program does not fit {target.name}: {excess}",
                "take a smaller network, or a target with more memory",
            )
        raise _failure(BuildError, f"the C project does not compile with {cc.version}", c_dir, log)
    return Build(
        runner=build_dir / "r2b_runner",
        with_model=build_dir / "r2b_size_with",
        without_model=build_dir / "r2b_size_without",
        compiler=cc,
    )


def _run(argv: Sequence[str | Path], log: Path) -> int:
    """Run a command with its output appended to `log`; the exit status, -1 after the time limit."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be killed with the compilers that it starts
        )
        try:
            return process.wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            out.write(f"error: stopped after {TIME_LIMIT_S} s\n".encode())
            return -1
        finally:  # Ctrl-C included
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _excess(log: Path) -> str:
    """By how much the largest of the linked programs exceeds the target's memory regions; "" where none does."""
    most: dict[str, int] = {}
    for region, excess in _OVERFLOW.findall(log.read_text("utf-8", "replace")):
        most[region] = max(most.get(region, 0), int(excess))
    return ", ".join(f"{region} is {excess:,} bytes too small" for region, excess in most.items())


def _failure(kind: type[R2BError], message: str, c_dir: Path, log: Path) -> R2BError:
    """The line that tells most, without the folders that were built in: a report may quote it."""
    lines = [
        line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()
    ]
    telling = (line for pattern in _TELLING for line in lines if pattern.search(line))
    first = next(telling, lines[-1] if lines else "no output")
    for folder in (c_dir.absolute(), log.parent.absolute()):
        first = first.replace(f"{folder}/", "")
    error = kind(f"{message}: {first}")
    error.add_note("\n".join(lines[-20:]))
    return error
