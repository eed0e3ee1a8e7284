"""Two models in one firmware: the library's objects, where things lie, and that both compute what they should."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from checking_nets import whole
from elftools.elf.elffile import ELFFile
from exactness import canonical
from small_onnx import Net, floats

from r2b_edge import targets
from r2b_edge.exporters import c as c_exporter
from r2b_edge.pipeline import program_of
from r2b_edge.runners.qemu import command
from r2b_edge.targets import Target
from r2b_edge.toolchain import find

TESTS = Path(__file__).parents[1]
DOCS = (TESTS.parent / "docs/bring-up.md").read_text()
SECTIONS = {"WEIGHTS": ".weights", "HOT_CODE": ".itcm", "ARENA": ".dtcm"}
# On a board that QEMU has, the memories of the script lie elsewhere: flash and ITCM in one, DTCM and RAM in another.
AN500 = {
    "flash": "0x00000000", "weights": "0x00100000", "itcm": "0x00200000", "dtcm": "0x20000000", "ram": "0x20100000",
}  # fmt: skip
MISALIGNED = 2
"""R2B_ERROR_ALIGNMENT"""


@dataclass(frozen=True)
class Firmware:
    """A linked program, the objects of both libraries, and what it answers to its inputs."""

    program: Path
    objects: list[Path]
    outputs: list[np.ndarray]
    expected: list[np.ndarray]
    misaligned: int


def docs_block(language: str, holds: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if holds in block]
    return str(found)


def cmake_list(target: Target, script: Path | None, more: str) -> str:
    bare = target.os == "none"
    board = ["startup_cortex_m.c", "memory.c", "fault.c", "systick.c", "port_semihosting.c"]
    files = " ".join(
        f"one/runner/{name}" for name in (board if bare else ["port_linux.c", "pool_linux.c"])
    )
    return f"""
cmake_minimum_required(VERSION 3.16)
project(firmware LANGUAGES C)
add_subdirectory(one)
add_subdirectory(other)
add_executable(firmware firmware.c {files})
target_include_directories(firmware PRIVATE one/runner)
target_compile_definitions(firmware PRIVATE {"BARE_METAL" if bare else ""} {more})
target_link_libraries(firmware PRIVATE r2b_model_one r2b_model_other {"" if bare else "pthread"})
{f"target_link_options(firmware PRIVATE -nostartfiles -Wl,--gc-sections -T{script})" if bare else ""}
"""


def build_and_run(folder: Path, name: str, optimise: str, script: str, runs: bool) -> Firmware:
    """Export two nets for a target, link them into tests/toolchain/firmware.c, and run it.

    Args:
        folder: an empty one.
        name: the target.
        optimise: the compiler's option.
        script: of the linker, with sections of its own; "": the target's.
        runs: whether an emulator has these memories.
    """
    target = targets.load(name)
    inputs, expected, sizes = b"", [], []
    for seed, (model, head) in enumerate({"one": "mean", "other": "flatten"}.items()):
        net = Net((1, 3, 12, 12) if head == "mean" else (1, 3, 10, 10))
        whole(net, np.random.default_rng(seed), head)
        (folder / f"{model}-onnx").mkdir()
        graph, reference = canonical(net, folder / f"{model}-onnx")
        program = program_of(graph, target, model, "0" * 64)
        c_exporter.write(program, target, folder / model)
        values = {n: floats(np.random.default_rng(9), *graph.type(n).shape) for n in graph.inputs}
        (tensor,) = [program.tensor[n] for n in program.inputs]
        inputs += tensor.pack(values[tensor.value])
        (output,) = reference.outputs(reference.run(values)).values()
        expected.append(output.reshape(-1))
        sizes.append(output.size)
    linker = folder / "one/runner/linker.ld"
    if script:
        linker = folder / "tcm.ld"
        linker.write_text(script)
        (folder / "prepare.h").write_text(docs_block("c", "r2b_board_prepare"))
    (folder / "firmware.c").write_text((TESTS / "toolchain/firmware.c").read_text())
    more = "TIGHTLY_COUPLED" if script else ""
    (folder / "CMakeLists.txt").write_text(
        cmake_list(target, linker if target.os == "none" else None, more)
    )
    sections = [f"-DR2B_{k}_SECTION={v}" for k, v in SECTIONS.items()] if script else []
    build = folder / "build"
    configure = [
        *(find.tool("cmake"), "-S", folder, "-B", build, "-G", find.generator()),
        f"-DCMAKE_TOOLCHAIN_FILE={folder / 'one/toolchain.cmake'}",
        *("-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_C_FLAGS_RELEASE={optimise}", *sections),
    ]
    for argv in (configure, [find.tool("cmake"), "--build", build]):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    program_file = build / "firmware"
    objects = sorted(build.glob("o*/CMakeFiles/r2b_model_*.dir/**/*.o*"))
    if not runs:
        return Firmware(program_file, objects, [], expected, 0)
    emulator = target.emulator
    run = [program_file] if emulator is None else command(emulator, program_file)
    said = subprocess.run(run, input=inputs, capture_output=True, timeout=120, check=True).stdout
    outputs = np.split(np.frombuffer(said[1:], np.float32), sizes[:1])
    return Firmware(program_file, objects, outputs, expected, said[0])


@pytest.fixture(scope="module")
def firmware(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None]
) -> Callable[..., Firmware]:
    """firmware(target, optimise, script="", runs=True) builds and runs it, once each."""
    require_tool("cmake", "gcc", "arm-none-eabi-gcc", "qemu-system-arm")

    @functools.cache
    def make(name: str, optimise: str, script: str = "", runs: bool = True) -> Firmware:
        return build_and_run(tmp_path_factory.mktemp("firmware"), name, optimise, script, runs)

    return make


def computes(built: Firmware) -> None:
    """Both models give what onnxruntime gives, and an arena that is not aligned is refused."""
    for output, expected in zip(built.outputs, built.expected, strict=True):
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
    assert built.misaligned == MISALIGNED


MOVES = re.compile(r"memcpy|memset|memmove|__aeabi_\w+")


def needs_no_more_than_moves(objects: list[Path]) -> None:
    """No malloc, printf or libm, no popcount of libgcc, no variable: but memory moves and the compiler's helpers."""
    defined: set[str] = set()
    needed: set[str] = set()
    assert {"one.c.obj", "other.c.obj", "other_weights.c.obj"} <= {path.name for path in objects}
    for path in objects:
        with path.open("rb") as file:
            object_file = ELFFile(file)
            for section in object_file.iter_sections():
                writable = section["sh_flags"] & 3 == 3  # allocated, and written
                assert not (writable and section["sh_size"]), f"{path.name}: {section.name}"
            for symbol in object_file.get_section_by_name(".symtab").iter_symbols():
                if symbol["st_info"]["bind"] != "STB_LOCAL":
                    undefined = symbol["st_shndx"] == "SHN_UNDEF"
                    (needed if undefined else defined).add(symbol.name)
    assert "r2b_run" in defined
    assert "memcpy" in needed
    beyond = {n for n in needed - defined if not MOVES.fullmatch(n)}
    assert beyond == set()


BUILDS = [(n, o) for n in ("stm32f405", "microbit") for o in ("-O2", "-Os")]


@pytest.mark.parametrize(("name", "optimise"), [("host", "-O2"), *BUILDS])
def test_two_models_in_one_firmware(
    name: str, optimise: str, firmware: Callable[..., Firmware]
) -> None:
    built = firmware(name, optimise)
    computes(built)
    if name != "host":
        needs_no_more_than_moves(built.objects)
    with built.program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert table is not None
        defined = [s.name for s in table.iter_symbols() if s["st_shndx"] != "SHN_UNDEF"]
        convs = {name for name in defined if name.startswith("r2b_bconv_")}
        assert convs
        for symbol in ("r2b_run", "r2b_epilogue_begin", *convs):
            assert defined.count(symbol) == 1
        assert table.get_symbol_by_name("r2b_one_model")
        assert table.get_symbol_by_name("r2b_other_model")


def functions_of(path: Path) -> list[str]:
    """The functions that a kernel's object defines, local ones too."""
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return [s.name for s in symbols if s["st_info"]["type"] == "STT_FUNC"]


def test_kernels_in_itcm_weights_and_arena_where_the_script_says(
    firmware: Callable[..., Firmware],
) -> None:
    """The linker script of docs/bring-up.md as it stands there; and on an emulated M7, where it can run."""
    script = docs_block("ld", "itcm_load")
    moved = script
    for region, origin in AN500.items():
        moved, count = re.subn(rf"(  {region} .*ORIGIN = )\w+", rf"\g<1>{origin}", moved)
        assert count == 1
    runs = firmware("mps2-an500", "-O2", moved)
    computes(runs)
    for built, flash, itcm, weights in (
        (runs, 0, 0x0020_0000, 0x0010_0000),
        (firmware("stm32h743", "-O2", script, runs=False), 0x0800_0000, 0, 0x0810_0000),
    ):
        with built.program.open("rb") as file:
            program = ELFFile(file)
            table = program.get_section_by_name(".symtab")
            places = {s.name: s["st_value"] & ~1 for s in table.iter_symbols()}
            hot = program.get_section_by_name(".itcm")
            assert hot["sh_addr"] == itcm
            assert hot["sh_size"] > 1000
        kernels = [p for p in built.objects if p.name.startswith("r2b_")]
        functions = {f for path in kernels for f in functions_of(path)} & places.keys()
        assert "r2b_epilogue_begin" in functions
        assert any(function.startswith("r2b_bconv_") for function in functions)
        for function in functions:
            assert itcm <= places[function] < itcm + 0x10000, function
        assert flash <= places["r2b_run"] < flash + 0x10_0000
        assert 0x2000_0000 <= places["one_arena"] < 0x2002_0000
        stored = [n for n in places if re.fullmatch(r"r2b_(one|other)_\w*weights?\w*", n)]
        assert stored
        for name in stored:
            assert weights <= places[name] < weights + 0x10_0000, name
