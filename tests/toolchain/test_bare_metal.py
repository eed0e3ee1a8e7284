"""Bare-metal programs as they are linked: where things lie, what they need, and what does not fit."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from r2b_edge import targets
from r2b_edge.errors import MismatchError
from r2b_edge.targets import Memory, Use
from r2b_edge.toolchain import elf
from r2b_edge.toolchain.build import Build, build

BOARDS = [name for name in targets.names() if targets.load(name).os == "none"]
MOVES = re.compile(r"mem(cpy|move|set)|__aeabi_\w+")
SHORT = 8
"""Bytes by which a region is made too small: the linker rounds sections up to this."""


def region(name: str, use: Use) -> Memory:
    found = targets.load(name).region(use)
    assert found is not None
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_sections_lie_where_the_target_says(name: str, tiny_build: Callable[..., Build]) -> None:
    flash, ram = region(name, "code"), region(name, "data")
    built = tiny_build(name)
    with built.with_model.open("rb") as file:
        program = ELFFile(file)
        assert program["e_machine"] == "EM_ARM"
        sections = {s.name: s for s in program.iter_sections() if s["sh_flags"] & 0x2}  # allocated
        places = {n: (s["sh_addr"], s["sh_addr"] + s["sh_size"]) for n, s in sections.items()}
        stack_top, reset = sections[".text"].data()[:4], sections[".text"].data()[4:8]
    for section, memory in ((".text", flash), (".rodata", flash), (".bss", ram), (".stack", ram)):
        start, end = places[section]
        assert memory.origin <= start < end <= memory.origin + memory.bytes
    assert places[".text"][0] == flash.origin
    assert int.from_bytes(stack_top, "little") == ram.origin + ram.bytes
    entry = elf.symbol_address(built.with_model, "r2b_reset")
    assert int.from_bytes(reset, "little") == entry + 1  # Thumb
    start, end = places[".data"]
    assert start == end  # no model, and nothing around it, has variables with a value to copy


def test_the_runner_lies_where_the_emulated_board_has_memory(
    tiny_build: Callable[..., Build],
) -> None:
    built = tiny_build("stm32h743")
    for program, flash in ((built.with_model, 0x0800_0000), (built.runner, 0)):
        address = elf.symbol_address(program, "r2b_reset")
        assert flash <= address < flash + 0x10000
    for program, ram in ((built.with_model, 0x2400_0000), (built.runner, 0x2000_0000)):
        assert elf.symbol_address(program, "r2b_stack_top") == ram + 512 * 1024


@pytest.mark.parametrize("name", BOARDS)
def test_flash_and_ram_are_the_models(name: str, tiny_build: Callable[..., Build]) -> None:
    built = tiny_build(name)
    cost = elf.cost(built.with_model, built.without_model)
    # Three tensors (28 bytes each), two steps (16 each) and the model (64) are the least there is.
    assert 180 < cost.flash < 2000
    assert 48 <= cost.ram < 48 + 32  # the arena


@pytest.mark.parametrize("name", ["microbit", "stm32f405"])
def test_the_library_needs_no_more_than_moves(name: str, tiny_build: Callable[..., Build]) -> None:
    library = tiny_build(name).runner.parent / "libr2b_model_tiny.a"
    tool = f"{targets.load(name).triple}-nm"
    said = subprocess.run([tool, library], capture_output=True, text=True, check=True).stdout
    defined = set(re.findall(r" [A-TV-Za-tv-z] (\S+)", said))
    needed = set(re.findall(r" U (\S+)", said)) - defined
    assert "memcpy" in needed
    assert [n for n in needed if not MOVES.fullmatch(n)] == []


def with_length(c_dir: Path, folder: Path, memory: Memory, length: int) -> Path:
    """A copy of a project whose linker script gives a region another size."""
    copy = Path(shutil.copytree(c_dir, folder))
    script = copy / "runner/linker.ld"
    text, found = re.subn(
        rf"({memory.name} \(.*LENGTH = )\d+", rf"\g<1>{length}", script.read_text()
    )
    assert found == 1
    script.write_text(text)
    return copy


def extent(program: Path, memory: Memory) -> int:
    """Bytes from a region's origin to the end of what is in it, gaps for alignment included."""
    with program.open("rb") as file:
        sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 0x2]
        ends = (s["sh_addr"] + s["sh_size"] - memory.origin for s in sections)
        return max(end for end in ends if 0 <= end <= memory.bytes)


@pytest.mark.parametrize("use", ["code", "data"])
def test_a_program_that_is_too_large_by_the_least(
    use: Use,
    tiny_project: Callable[[str], Path],
    tiny_build: Callable[..., Build],
    tmp_path: Path,
) -> None:
    name = "stm32f100"
    target, memory, built = targets.load(name), region(name, use), tiny_build(name)
    programs = (built.runner, built.with_model, built.without_model)
    size = max(extent(program, memory) for program in programs)
    fits = with_length(tiny_project(name), tmp_path / "fits", memory, size)
    build(fits, target, tmp_path / "build1")
    short = with_length(tiny_project(name), tmp_path / "short", memory, size - SHORT)
    said = f"does not fit stm32f100: {memory.name} is [1-8] bytes too small"
    with pytest.raises(MismatchError, match=said) as caught:
        build(short, target, tmp_path / "build2")
    assert caught.value.exit_code == 1
