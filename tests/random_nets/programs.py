"""Many generated programs in one executable, which compiles and starts once: executors for the Verifier.

A request carries a whole arena and gets it back (tests/c/harness.c), so that all floats outside of a step's inputs are
NaN before it, and every byte outside of its outputs and workspace must be as it was after it.
"""

from __future__ import annotations

import re
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import r2b_edge.firmware_templates
from r2b_edge import targets
from r2b_edge.checking.executor import ExecutorStep, Values
from r2b_edge.exporters.c import Program, Streams
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.render import render
from r2b_edge.runners.process import ProcessChannel

KERNELS = Path(r2b_edge.firmware_templates.__file__).parent / "kernels"
HARNESS = Path(__file__).parent.parent / "c" / "harness.c"
POOL = KERNELS.parent / "project"
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")
TIME_LIMIT_S = 60.0
STEPS, BUFFERED = 0, 1 + 256 * 3
"""Modes of harness.c: run steps in the arena; run everything from buffers of its own, on three threads."""


@dataclass(frozen=True)
class Machine:
    """Where programs run, and how they are built for it.

    Args:
        name: of the executor.
        target: of the exporter.
        compiler: its command.
        kernel_flags: for the kernels.
        model_flags: for the generated code, which holds tables only.
        link_flags: for the link.
        emulator: the command before the program.
        streams: of build_program.
        families: lists of kernel families, which the programs take by turns; none: the target's own.
    """

    name: str
    target: str
    compiler: str
    kernel_flags: tuple[str, ...]
    model_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    streams: Streams = "smaller"
    families: tuple[tuple[str, ...], ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        return (self.compiler, *self.emulator[:1])

    def turns(self) -> list[targets.Target]:
        """The target with each list of families."""
        target = targets.load(self.target)
        lists = self.families or (target.families,)
        return [target.model_copy(update={"families": families}) for families in lists]


_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
HOST = Machine(
    "c-host",
    "host",
    "gcc",
    ("-O1", "-g", *_SANITIZE),
    ("-O0", *_SANITIZE),
    _SANITIZE,
    streams="all",
    families=(("portable",), ("mcu", "portable"), ("c", "mcu", "portable")),
)
_PI = targets.load("rpi4")
PI = Machine(
    "c-qemu",
    "rpi4",
    f"{_PI.triple}-gcc",
    ("-O3", *_PI.flags),
    ("-O0", *_PI.flags),
    ("-static",),
    () if _PI.emulator is None else _PI.emulator.argv,
)
MACHINES = (HOST, PI)


class Library:
    """The kernels and the harness, compiled once for a machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.objects = folder / machine.name
        self.objects.mkdir()
        families = {family for target in machine.turns() for family in target.families}
        others = {
            file
            for kernel in REGISTRY
            if kernel.family not in families
            for file in (kernel.source, *kernel.others)
        }
        own = [kernel for kernel in REGISTRY if kernel.family in families]
        assembly = {file for kernel in own for file in kernel.others if file.endswith(".S")}
        sources = [
            *(c for c in sorted(KERNELS.glob("*.c")) if c.name not in others),
            *(KERNELS / name for name in sorted(assembly)),
            HARNESS,
            POOL / "pool_linux.c",
        ]
        flags = [*FLAGS, *machine.kernel_flags, f"-I{KERNELS}", f"-I{POOL}"]
        _run([machine.compiler, *flags, "-c", *map(str, sources)], self.objects)
        self.linked = [str(self.objects / f"{source.stem}.o") for source in sources]

    def link(self, programs: Sequence[Program], folder: Path) -> Path:
        """One executable with all programs, whose places in it are their order."""
        folder.mkdir()
        target = targets.load(self.machine.target)
        units = []
        for program in programs:
            for path, content in render(program, target):
                if path.endswith(".h") and path.startswith("model/"):
                    (folder / Path(path).name).write_bytes(content)
                elif path.startswith("model/"):
                    units.append(_with_prefix(program.name, content.decode()))
        names = [f"r2b_{program.name}_model" for program in programs]
        table = (
            "extern const r2b_model *const test_models[];\nextern const uint32_t test_model_count;\n"
            f"const r2b_model *const test_models[] = {{{', '.join('&' + n for n in names)}}};\n"
            f"const uint32_t test_model_count = {len(names)};\n"
        )
        # One file: a compiler takes longer to start than to read a program.
        (folder / "models.c").write_text("\n".join([*units, table]))
        machine = self.machine
        flags = [*FLAGS, *machine.model_flags, f"-I{KERNELS}", "-I."]
        _run([machine.compiler, *flags, "-c", "models.c"], folder)
        _run(
            [
                machine.compiler,
                *machine.link_flags,
                "models.o",
                *self.linked,
                "-o",
                "program",
                "-lm",
                "-pthread",
            ],
            folder,
        )
        return folder / "program"


def _with_prefix(prefix: str, text: str) -> str:
    """A generated file whose static names begin with a prefix, so that it can stand in one file with others."""
    names = re.findall(r"^static [\w *]*?(\w+)[\[(]", text, re.MULTILINE)
    return re.sub(rf"(?<![.\w])({'|'.join(names)})\b", rf"{prefix}_\1", text) if names else text


def _run(argv: Sequence[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


class Server:
    """A running executable."""

    def __init__(self, machine: Machine, program: Path) -> None:
        self._channel = ProcessChannel([*machine.emulator, program])

    def ask(self, index: int, mode: int, first: int, last: int, arena: bytes) -> bytes:
        """The arena after a run of program `index`."""
        deadline = time.monotonic() + TIME_LIMIT_S
        self._channel.write(struct.pack("4I", index, mode, first, last) + arena, deadline)
        answer = b""
        while len(answer) < 4 + len(arena):
            answer += self._channel.read(deadline)
        (status,) = struct.unpack_from("I", answer)
        assert status == 0, f"status {status}"
        assert len(answer) == 4 + len(arena)
        return answer[4:]

    def close(self) -> None:
        self._channel.close()


class ArenaExecutor:
    """One program of a server; see r2b_edge.checking.executor.Executor."""

    def __init__(self, program: Program, index: int, server: Server) -> None:
        self.program = program
        self.index = index
        self.server = server
        value = {tensor.name: tensor.value for tensor in program.tensors}
        self.steps = tuple(
            ExecutorStep(
                step.nodes,
                tuple(value[n] for n in step.inputs),
                tuple(value[n] for n in step.outputs),
            )
            for step in program.steps
        )

    def run_step(self, index: int, inputs: Values) -> Values:
        """See Executor."""
        step = self.program.steps[index]
        before = self._filled(step.inputs, inputs)
        after = self.server.ask(self.index, STEPS, index, index, before)
        changed = np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)
        tensors = [self.program.tensor[name] for name in step.outputs]
        for offset, size in [*((t.offset, t.bytes) for t in tensors), *step.works]:
            changed[offset : offset + size] = False
        assert not changed.any(), f"step {index} writes at {np.flatnonzero(changed)[:8]}"
        return self._read(step.outputs, after)

    def run(self, inputs: Values) -> Values:
        """See Executor: in the arena on one thread, and from buffers on several, which must give the same."""
        before = self._filled(self.program.inputs, inputs)
        last = len(self.program.steps) - 1
        in_place, buffered = (
            self._read(self.program.outputs, self.server.ask(self.index, mode, 0, last, before))
            for mode in (STEPS, BUFFERED)
        )
        for name, value in in_place.items():
            assert value.tobytes() == buffered[name].tobytes(), (
                f"buffers or threads change {name!r}"
            )
        return buffered

    def _filled(self, names: Sequence[str], values: Values) -> bytes:
        """An arena of NaNs with these tensors in it."""
        arena = bytearray(b"\xff" * self.program.arena_bytes)
        for name in names:
            tensor = self.program.tensor[name]
            arena[tensor.offset : tensor.offset + tensor.bytes] = tensor.pack(values[tensor.value])
        return bytes(arena)

    def _read(self, names: Sequence[str], arena: bytes) -> Values:
        tensors = [self.program.tensor[name] for name in names]
        return {t.value: t.unpack(arena[t.offset : t.offset + t.bytes]) for t in tensors}
