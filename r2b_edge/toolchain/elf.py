"""Read symbols and sizes from linked ELF programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r2b_edge.errors import InputError

_SHF_WRITE = 0x1
_SHF_ALLOC = 0x2


@dataclass(frozen=True)
class Footprint:
    """Bytes of memory.

    Attributes:
        flash: what is stored: code, constants and the initial values of variables.
        ram: what is written while it runs: variables, initialised or zero; not the stack.
    """

    flash: int
    ram: int


def _open(file: Any, path: Path) -> Any:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        return ELFFile(file)
    except ELFError as error:
        raise InputError(f"{path} is no ELF program ({error})") from error


def symbol_address(path: Path, name: str) -> int:
    """The address of the symbol `name` in the program at `path`; of a function, that of its first instruction.

    Raises:
        InputError: the file is no ELF program, or has no such symbol.
    """
    with path.open("rb") as file:
        program = _open(file, path)
        table = program.get_section_by_name(".symtab")
        symbols = table.get_symbol_by_name(name) if table is not None else None
        if not symbols:
            raise InputError(f"{path} has no symbol {name}")
        value = int(symbols[0]["st_value"])
        # On Arm, bit 0 of a function's symbol says that its instructions are Thumb ones (ELF for the Arm Architecture).
        thumb = program["e_machine"] == "EM_ARM" and symbols[0]["st_info"]["type"] == "STT_FUNC"
        return value & ~1 if thumb else value


def machine(path: Path) -> str:
    """The processor of the program at `path`, such as "EM_AARCH64" or "EM_X86_64".

    Raises:
        InputError: the file is no ELF program.
    """
    with path.open("rb") as file:
        return str(_open(file, path)["e_machine"])


def footprint(path: Path) -> Footprint:
    """The memory of the whole program at `path`: the sizes of its allocated sections.

    Sections, not segments: a segment is padded to pages, which would hide a model of a few KB.

    Raises:
        InputError: the file is no ELF program.
    """
    flash = ram = 0
    with path.open("rb") as file:
        for section in _open(file, path).iter_sections():
            if section["sh_flags"] & _SHF_ALLOC:
                if section["sh_type"] != "SHT_NOBITS":
                    flash += section["sh_size"]
                if section["sh_flags"] & _SHF_WRITE:
                    ram += section["sh_size"]
    return Footprint(flash, ram)


def cost(with_model: Path, without_model: Path) -> Footprint:
    """What the model adds to a program: measured on two that differ in nothing else.

    `ram` holds the arena; the stack is measured by running (`Session.stack`). Both are exact but for the
    padding between what the linker puts side by side: a few dozen bytes, either way.

    Raises:
        InputError: a file is no ELF program.
    """
    larger, smaller = footprint(with_model), footprint(without_model)
    return Footprint(larger.flash - smaller.flash, larger.ram - smaller.ram)
