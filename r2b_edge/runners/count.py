"""Instructions retired per step, counted by a QEMU plug-in: a figure without noise, but not a time."""

from __future__ import annotations

import itertools
import re
import struct
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from r2b_edge.errors import DeviceError, ToolMissingError
from r2b_edge.runners import TIME_LIMIT_S
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.qemu import command
from r2b_edge.runners.session import StreamSession
from r2b_edge.targets import Target
from r2b_edge.toolchain import elf, find

_PLUGIN = "r2b_count.so"
_COUNTS = "r2b_counts.bin"


@dataclass(frozen=True)
class ThreadCounts:
    """Emulated instructions of one inference on several threads; waiting is sleeping, and counts nothing.

    Attributes:
        steps: of each step, each thread's; the caller's is the first, the marker's own taken off.
    """

    steps: tuple[tuple[int, ...], ...]

    @property
    def busiest(self) -> int:
        """Instructions of the busiest thread of each step, summed: a step begins when the one before is done."""
        return sum(max(step) for step in self.steps)

    @property
    def total(self) -> int:
        """Instructions of all threads."""
        return sum(sum(step) for step in self.steps)


@dataclass(frozen=True)
class Counts:
    """Emulated instructions of one inference.

    Attributes:
        steps: of each step, the marker's own taken off.
        overhead: of the markers between the steps, in all; not part of `steps`.
    """

    steps: tuple[int, ...]
    overhead: int


def obstacle(target: Target) -> str | None:
    """Why instructions cannot be counted for this target here, or None where they can."""
    if target.emulator is None:
        return (
            f"target {target.name} runs on this machine itself, where nothing counts instructions"
        )
    try:
        qemu = find.tool(target.emulator.argv[0])
        find.tool("gcc")
    except ToolMissingError as error:
        return str(error)
    usage = subprocess.run(
        [qemu, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    if not re.search(r"^-plugin\b", usage.stdout, re.MULTILINE):
        return f"{find.version(qemu)} was built without plug-ins"
    return None


def count_instructions(
    program: Path,
    target: Target,
    inputs: Mapping[int, bytes],
    folder: Path,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    plugin: bytes | None = None,
) -> Counts:
    """Run all steps once under the counting plug-in.

    Args:
        program: a runner built for `target`.
        target: it has an emulator.
        inputs: the tensors to load first, by index, in the arena's layout.
        folder: where the plug-in and its output go; made where it does not exist.
        time_limit_s: for one request; counting takes several times a plain run.
        plugin: C source of another plug-in, which writes the same and may write more into `folder`.

    Raises:
        ToolMissingError: `obstacle` says why.
        DeviceError: the run fails.
        InputError: `program` is not an ELF runner.
    """
    steps = _run(program, target, inputs, folder, time_limit_s, plugin, 1)
    return read_counts(folder / _COUNTS, steps)


def count_threads(
    program: Path,
    target: Target,
    inputs: Mapping[int, bytes],
    folder: Path,
    threads: int,
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> ThreadCounts:
    """The same on so many threads, each counted for itself.

    Raises:
        ToolMissingError: `obstacle` says why.
        DeviceError: the run fails, or the program has no threads.
        InputError: `program` is not an ELF runner.
    """
    steps = _run(program, target, inputs, folder, time_limit_s, None, threads)
    marks = _marks(folder / _COUNTS, steps, threads)
    marker, *between = (
        tuple(a - b for a, b in zip(after, before, strict=True))
        for before, after in itertools.pairwise(marks)
    )
    return ThreadCounts(tuple((first - marker[0], *others) for first, *others in between))


def _run(
    program: Path,
    target: Target,
    inputs: Mapping[int, bytes],
    folder: Path,
    time_limit_s: float,
    plugin: bytes | None,
    threads: int,
) -> int:
    """Run all steps once, marked, with the plug-in writing to _COUNTS in `folder`; how many steps there are."""
    reason = obstacle(target)
    if reason is not None:
        raise ToolMissingError(f"instructions cannot be counted: {reason}")
    assert target.emulator is not None
    qemu = find.tool(target.emulator.argv[0])
    marker = elf.symbol_address(program, "r2b_marker")
    folder.mkdir(parents=True, exist_ok=True)
    source = resources.files("r2b_edge.runners").joinpath("qemu_plugin.c").read_bytes()
    compile_plugin(qemu, folder, plugin or source)

    # QEMU splits a plug-in's arguments at commas: plain file names, relative to the working folder.
    argument = f"./{_PLUGIN},marker={marker:#x},out={_COUNTS}"
    if threads > 1:
        argument += f",threads={threads}"
    channel = ProcessChannel(command(target.emulator, program, "-plugin", argument), cwd=folder)
    with StreamSession(channel, time_limit_s) as session:
        for tensor, data in inputs.items():
            session.load(tensor, data)
        if threads > 1:
            session.threads(threads)
        steps = session.info().steps
        session.run_marked(0, steps - 1)
        session.quit()
        channel.wait(time.monotonic() + time_limit_s)
    return steps


def read_counts(path: Path, steps: int) -> Counts:
    """What a plug-in wrote at the markers of so many steps: u64, rising.

    Raises:
        DeviceError: another number of them.
    """
    totals = (total for (total,) in _marks(path, steps, 1))
    marker, *between = (after - before for before, after in itertools.pairwise(totals))
    return Counts(tuple(count - marker for count in between), marker * (steps + 1))


def _marks(path: Path, steps: int, threads: int) -> list[tuple[int, ...]]:
    """Each thread's count at each marker: two before the first step, one after each."""
    data = path.read_bytes()
    if len(data) != 8 * threads * (steps + 2):
        seen = len(data) // (8 * threads)
        raise DeviceError(f"the plug-in saw {seen} markers instead of {steps + 2}")
    return list(struct.iter_unpack(f"={threads}Q", data))


def compile_plugin(qemu: Path, folder: Path, source: bytes) -> Path:
    """Compile a plug-in for the interface version of this QEMU, 2 from QEMU 9 on, else 1; its path.

    Args:
        qemu: what will load it.
        folder: where it goes.
        source: C, for which R2B_PLUGIN_VERSION is defined, and which finds qemu_plugin.h.

    Raises:
        ToolMissingError: no compiler, or one without a C library.
    """
    line = find.version(qemu)
    release = re.search(r"version (\d+)\.", line)
    if release is None:
        raise ToolMissingError(f"cannot tell the version of {qemu} from {line!r}")
    interface = 2 if int(release[1]) >= 9 else 1
    header = resources.files("r2b_edge.runners").joinpath("qemu_plugin.h").read_bytes()
    (folder / "qemu_plugin.h").write_bytes(header)
    build = ["-std=c11", "-O2", "-shared", "-fPIC", f"-I{folder}"]
    build += [f"-DR2B_PLUGIN_VERSION={interface}"]
    done = subprocess.run(
        [find.tool("gcc"), *build, "-x", "c", "-", "-o", folder / _PLUGIN],
        input=source,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        first = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise ToolMissingError(
            f"gcc cannot build QEMU's plug-in: {first}", "apt-get install libc6-dev"
        )
    return folder / _PLUGIN
