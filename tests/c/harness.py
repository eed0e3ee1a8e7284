"""Builds graphs by hand, and runs their generated C in one program for all."""

from __future__ import annotations

import copy
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.render import render
from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.graph.spec import verify
from r2b_edge.ops import Op
from r2b_edge.targets import Memory, Use

HERE = Path(__file__).parent
POOL = HERE.parents[1] / "firmware_templates/project"
CACHE = [ccache] if (ccache := shutil.which("ccache")) else []
"""Before a compiler: tests/conftest.py tells where it keeps what was compiled before."""
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic"]


@dataclass(frozen=True)
class Target:
    """A stand-in for a target: what the exporter asks of one."""

    name: str = "host"
    families: tuple[str, ...] = ("portable",)
    triple: str = ""
    flags: tuple[str, ...] = ()
    os: str = "linux"
    stack_bytes: int | None = None
    cores: int = 1

    def region(self, use: Use) -> Memory | None:
        return None

    def emulated(self) -> Target:
        return self


@dataclass
class Builder:
    """A graph, node by node, with seeded constants."""

    seed: int = 0
    graph: Graph = field(default_factory=lambda: Graph("hand-made"))

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def floats(self, *shape: int) -> Array:
        return self.rng.normal(size=shape).astype(np.float32)

    def signs(self, *shape: int) -> Array:
        return self.rng.choice(np.array([-1, 1], dtype=np.int8), size=shape)

    def input(self, *shape: int, uint8: bool = False) -> str:
        name = self.graph.fresh("input")
        self.graph.uint8_inputs |= {name} if uint8 else set()
        self.graph.tensors[name] = Tensor(name, TensorType(shape), Origin(name))
        self.graph.inputs.append(name)
        return name

    def add(self, op: Op, *inputs: str, name: str = "") -> str:
        output = self.graph.fresh(name or type(op).__name__.lower())
        self.graph.add(f"node {output}", op, inputs, output, Origin(output))
        return output

    def done(self, *outputs: str) -> Graph:
        self.graph.outputs = list(outputs)
        verify(self.graph, "a test")
        return self.graph


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags, what its programs need beside their sources, and what runs them.

    Where `only` is set, it is for the programs that call kernels of this family; others run elsewhere.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    families: tuple[str, ...] = ("mcu", "portable")
    sources: tuple[Path, ...] = ()
    only: str = ""
    has_threads: bool = True

    @property
    def tools(self) -> tuple[str, ...]:
        return (self.compiler, *self.emulator[:1])


def _cortex_m(
    name: str,
    board: str,
    families: tuple[str, ...],
    *flags: str,
    ram: int = 0x2100_0000,
    only: str = "",
) -> Toolchain:
    """GCC for bare metal; standard input and output by semihosting (cortex_m.c), on one of Arm's MPS boards.

    `ram` is where the board has memory for code and data.
    """
    link = ("--specs=rdimon.specs", f"-T{HERE / 'cortex_m.ld'}", f"-Wl,--defsym=ram={ram:#x}")
    silent = ("-display", "none", "-monitor", "none", "-serial", "none")
    return Toolchain(
        name,
        "arm-none-eabi-gcc",
        ("-O3", "-mthumb", *flags, *link),
        ("qemu-system-arm", "-M", board, *silent, "-semihosting-config", "enable=on", "-kernel"),
        families,
        sources=(HERE / "cortex_m.c",),
        only=only,
        has_threads=False,
    )


def with_mpu(toolchain: Toolchain) -> Toolchain:
    """The code of any Cortex-M on an emulated M55, whose memory protection unit forbids what harness.c says."""
    board = next(t for t in TOOLCHAINS if t.name == "cortex-m55")
    (ram,) = [flag for flag in board.flags if "defsym=ram" in flag]
    own = [flag for flag in toolchain.flags if "defsym=ram" not in flag]
    return replace(
        toolchain,
        name=f"{toolchain.name}-mpu",
        flags=(*own, ram, "-DTEST_MPU"),
        emulator=board.emulator,
        sources=(HERE / "cortex_m.c", HERE / "mpu.c"),
    )


LUT4_IN_C = ("c", "c32")
"""Families that no target lists: what the assembly of Cortex-M has in common, in plain C."""
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TOOLCHAINS = (
    Toolchain("gcc-sanitized", "gcc", SANITIZED, families=(*LUT4_IN_C, "mcu", "portable")),
    Toolchain("clang", "clang", ("-O2",), families=(*LUT4_IN_C, "mcu", "portable")),
    Toolchain(
        "aarch64",
        "aarch64-linux-gnu-gcc",
        ("-O3", "-mcpu=cortex-a72", "-static"),
        ("qemu-aarch64", "-cpu", "cortex-a72"),
        ("neon", "portable"),
    ),
    _cortex_m(
        "cortex-m4",
        "mps2-an386",
        ("dsp", "v7m", "mcu", "portable"),
        *("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    ),
    # The code of a Cortex-M0, no FPU and no unaligned access, on a board that has memory for all test programs.
    _cortex_m(
        "cortex-m0", "mps2-an385", ("v6m", "mcu", "portable"), "-mcpu=cortex-m0", "-mfloat-abi=soft"
    ),
    _cortex_m(
        "cortex-m55", "mps3-an547", ("mve", "portable"), "-mcpu=cortex-m55", "-mfloat-abi=hard",
        ram=0x6000_0000, only="mve",
    ),
)  # fmt: skip


def run_program(toolchain: Toolchain, program: Path, data: bytes) -> bytes:
    """What a compiled program answers to `data`."""
    argv = [*toolchain.emulator, str(program)]
    done = subprocess.run(argv, input=data, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def compile_all(
    toolchain: Toolchain,
    sources: Sequence[Path],
    include: Sequence[Path],
    out: Path,
    others: Sequence[Path] = (),
) -> Path:
    """Compile, with every warning an error, and link, with `others`: objects that are there."""

    def one(source: Path) -> Path:
        objects = out / f"{source.stem}.o"
        flags = [*STRICT, *toolchain.flags, *(f"-I{folder}" for folder in include)]
        _cc([*CACHE, toolchain.compiler, *flags, "-c", str(source), "-o", str(objects)])
        return objects

    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [*pool.map(one, [*sources, *toolchain.sources]), *others]
    flags = [*toolchain.flags, *(["-pthread"] if toolchain.has_threads else [])]
    _cc([toolchain.compiler, *flags, *map(str, objects), "-o", str(out / "program")])
    return out / "program"


def _cc(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


class Models:
    """Several programs, compiled into one executable."""

    def __init__(self, programs: Sequence[Program], toolchain: Toolchain, folder: Path) -> None:
        self.toolchain = toolchain
        self._folder = folder
        self.names = frozenset(p.name for p in programs)
        self._index = {p.name: i for i, p in enumerate(programs)}
        sources: dict[Path, None] = {}
        for program in programs:
            for path, content in render(program, Target()):
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                if path.endswith((".c", ".S")) and not path.startswith("runner/"):
                    sources[file] = None
        table = folder / "table.c"
        names = [f"r2b_{p.name}_model" for p in programs]
        table.write_text(
            '#include "r2b.h"\n'
            + "".join(f"extern const r2b_model {n};\n" for n in names)
            + "extern const r2b_model *const test_models[];\nextern const uint32_t test_model_count;\n"
            + f"const r2b_model *const test_models[] = {{{', '.join('&' + n for n in names)}}};\n"
            + f"const uint32_t test_model_count = {len(names)};\n"
        )
        self._program = compile_all(
            toolchain,
            [
                *sources,
                table,
                HERE / "harness.c",
                *([POOL / "pool_linux.c"] if toolchain.has_threads else []),
            ],
            [folder / "include", folder / "model", POOL],
            folder / "build",
        )

    def relinked(self, toolchain: Toolchain) -> Models:
        """The same objects, but those of the harness, linked by another toolchain for its emulator."""
        own = {"harness", *(source.stem for source in self.toolchain.sources)}
        objects = [o for o in sorted(self._folder.glob("build/*.o")) if o.stem not in own]
        again = copy.copy(self)
        again.toolchain = toolchain
        include = [self._folder / "include"]
        out = self._folder / toolchain.name
        again._program = compile_all(toolchain, [HERE / "harness.c"], include, out, objects)
        return again

    def run(self, requests: Sequence[tuple[Program, int, int, int, bytes]]) -> list[bytes]:
        """The arenas after requests of (program, mode, first step, last step, arena); see harness.c."""
        data = b"".join(
            struct.pack("4I", self._index[p.name], mode, first, last) + arena
            for p, mode, first, last, arena in requests
        )
        answer = run_program(self.toolchain, self._program, data)
        arenas = []
        for program, *_ in requests:
            (status,) = struct.unpack_from("I", answer)
            assert status == 0
            arenas.append(answer[4 : 4 + program.arena_bytes])
            answer = answer[4 + program.arena_bytes :]
        assert not answer
        return arenas
