"""One TOML a target, and its typed loader.

A target is one flat file `<name>.toml` in this folder; there is no inheritance, an unknown key is an
error, and every shipped file is validated by one test. To add a target, add its file.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from r2b_edge.errors import InputError

# These strings end in CMake files and on command lines: no blank, quote or shell character gets through.
# (pydantic matches in Rust, where $ is the very end, not before a last newline.)
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Triple = Annotated[str, StringConstraints(pattern=r"^([a-z0-9_]+(-[a-z0-9_]+)+)?$")]
Flag = Annotated[str, StringConstraints(pattern=r"^-[mfO][A-Za-z0-9_.+=-]*$")]
Argument = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.,=:/+-]+$")]
FlashArgument = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_.,=:/+ -]|\{bin\}|\{elf\})+$")
]
Pin = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.]+$")]
Word = Annotated[int, Field(ge=0, lt=2**32)]
Address = Annotated[int, Field(gt=0, lt=2**32, multiple_of=4)]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Use = Literal["code", "weights", "arena", "stack", "data"]

ADDRESSES = 2**32
"""Of a bare-metal target: beyond any address."""
STORED: tuple[Use, ...] = ("code", "weights")
WRITTEN: tuple[Use, ...] = ("arena", "stack", "data")
"""What a bare-metal program keeps in flash, and what in RAM."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Memory(_Table):
    """A region of the target's memory; `origin` and `bytes` in bytes, `use` says what may lie there."""

    name: Region
    origin: Annotated[int, Field(ge=0)] = 0
    bytes: Annotated[int, Field(gt=0)]
    use: tuple[Use, ...]


class Emulator(_Table):
    """How this machine runs the target's programs.

    Attributes:
        argv: the emulator's name, and what chooses the machine and its core. How a program is handed over
            is the runners' affair.
        stand_in: the emulated core is not the target's own; a report names the command, and with it the core.
        other_board: the emulated board is not the target's own; so it is of every stand-in on bare metal.
        transport: how the program talks: "stdio" is its standard input and output, "semihosting" are Arm's
            semihosting calls, which a bare-metal program makes.
        origins: where the emulated board has its memory, by the name of the target's region, where that is not
            where the target has it. The sizes are the target's.
    """

    argv: Annotated[tuple[Argument, ...], Field(min_length=1)]
    stand_in: bool = False
    other_board: bool = False
    transport: Literal["stdio", "semihosting"] = "stdio"
    origins: dict[Region, Annotated[int, Field(ge=0)]] = {}


class Register(_Table):
    """A step on the way to a working UART: clear bits of the register `at`, set bits, wait for bits; in this order."""

    at: Address
    clear: Word = 0
    set: Word = 0
    until: Word = 0


class Uart(_Table):
    """A board's serial port.

    Attributes:
        driver: firmware_templates/boards/uart_<driver>.c.
        base: address of its registers.
        clock_hz: what feeds it, as the start-up code leaves it.
        baud: bits a second; 8 bits, no parity, 1 stop bit.
        tx: the board's pin that sends.
        rx: the board's pin that receives.
        setup: what brings clocks and pins to it.
    """

    driver: Literal["stm32_v1", "stm32_v2", "cmsdk", "nrf", "pl011"]
    base: Address
    clock_hz: Annotated[int, Field(gt=0)]
    baud: Annotated[int, Field(gt=0)]
    tx: Pin
    rx: Pin
    setup: tuple[Register, ...] = ()


class Board(_Table):
    """How a real board is reached.

    Attributes:
        transport: "ssh", or "uart:" and the name of the serial port, for bare metal.
        cycles: what counts a bare-metal program's cycles: "dwt", or "systick" where the core has no such unit.
        clock_hz: of the core, as the start-up code of bare metal leaves it.
        boot: firmware_templates/boards/boot_<boot>.S, what the boot ROM wants in the flash beside the program; None
            where the core starts by the program's own vector table.
        flash: the tool that writes a bare-metal program, and its arguments, never through a shell: {bin} and {elf}
            stand for the program's path; empty where the board has another way.
        uart: the serial port.
    """

    transport: Annotated[str, StringConstraints(pattern=r"^(ssh|uart:[a-z0-9]+)$")]
    cycles: Literal["dwt", "systick"] | None = None
    clock_hz: Annotated[int, Field(gt=0)] | None = None
    boot: Literal["rp2040", "rp2350"] | None = None
    flash: tuple[FlashArgument, ...] = ()
    uart: Uart | None = None


class Target(_Table):
    """A kind of device to build for.

    Attributes:
        name: as on the command line, equal to the file's name.
        title: for people.
        arch: "native" is the machine that this runs on, whatever it is; "arm" are the Cortex-M.
        core: the processor core, as GCC's -mcpu names it ("native" for the host).
        fpu: its floating-point unit, as GCC's -mfpu names it; None where there is none, or no choice of one.
        os: what the program runs on; "none" is bare metal.
        triple: prefix of the cross-compiler's tools without the last dash; "" for the host's own.
        flags: compiler flags; only -m, -f and -O ones.
        families: kernel families, the most wanted first.
        cores: into how many tasks the work of a layer is cut, at most; as many threads have something to do.
        clock_hz: of the core at full speed; None where it is not known.
        memory: regions, or for Linux the device's RAM.
        stack_bytes: what a bare-metal program keeps free for its stack; None on Linux.
        emulator: None where the programs run on this machine itself.
        board: None where there is no board to reach; bare metal has one.
    """

    name: Name
    title: str
    arch: Literal["native", "aarch64", "arm"]
    core: Name
    fpu: Name | None = None
    os: Literal["linux", "none"]
    triple: Triple = ""
    flags: tuple[Flag, ...] = ()
    families: Annotated[tuple[Name, ...], Field(min_length=1)]
    cores: Annotated[int, Field(gt=0, le=64)] = 1
    clock_hz: Annotated[int, Field(gt=0)] | None = None
    memory: tuple[Memory, ...] = ()
    stack_bytes: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    emulator: Emulator | None = None
    board: Board | None = None

    def region(self, use: Use) -> Memory | None:
        """The first region for this use; None where there is none."""
        return next((memory for memory in self.memory if use in memory.use), None)

    def emulated(self) -> Target:
        """The target with its memory where the emulated board has it."""
        origins = self.emulator.origins if self.emulator is not None else {}
        moved = (
            m.model_copy(update={"origin": origins.get(m.name, m.origin)}) for m in self.memory
        )
        return self.model_copy(update={"memory": tuple(moved)})


def names() -> list[str]:
    """The names of all shipped targets, sorted."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(file.removesuffix(".toml") for file in files if file.endswith(".toml"))


def parse(text: str, name: str) -> Target:
    """The target that a TOML text describes.

    Args:
        text: the file's content.
        name: the name that the text must give itself: the file's.

    Raises:
        InputError: no TOML, an unknown or missing key, or a value out of range.
    """
    try:
        # Strict mode refuses "4" for 4, and a list for a tuple: TOML has only lists.
        target = Target.model_validate(_tuples(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"target file {name}.toml is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"target file {name}.toml: {where}: {_fault(first)}") from error
    if target.name != name:
        raise InputError(f'target file {name}.toml names itself "{target.name}"')
    for what, hint in _contradictions(target):
        raise InputError(f"target file {name}.toml: {what}", hint)
    return target


def _contradictions(target: Target) -> Iterator[tuple[str, str]]:
    """What in a target does not go together, and what would help."""
    if (target.arch == "native") != (target.triple == ""):
        yield f'arch "{target.arch}" and triple "{target.triple}"', ""
    bare = target.os == "none"
    if bare != (target.arch == "arm") or bare != target.triple.endswith("-none-eabi"):
        yield (
            f'os "{target.os}", arch "{target.arch}" and triple "{target.triple}"',
            'bare metal is "none", "arm" and "arm-none-eabi"',
        )
    if target.fpu is not None and f"-mfpu={target.fpu}" not in target.flags:
        yield f'fpu "{target.fpu}" and flags without "-mfpu={target.fpu}"', ""
    emulator = target.emulator
    if emulator is not None and (target.core in emulator.argv) == emulator.stand_in:
        yield (
            f'core "{target.core}" and emulator "{" ".join(emulator.argv)}"',
            "stand_in = true says that the emulator has another core, and only that",
        )
    if emulator is not None and bare != (emulator.transport == "semihosting"):
        yield f'os "{target.os}" and emulator.transport "{emulator.transport}"', ""
    if bare != (target.stack_bytes is not None):
        yield f'os "{target.os}" and stack_bytes', "bare metal needs it, and nothing else"
    if not bare and target.board is not None and target.board != Board(transport="ssh"):
        yield f'os "{target.os}" and a board that is not reached by ssh alone', ""
    for region in emulator.origins if emulator is not None else ():
        if region not in {memory.name for memory in target.memory}:
            yield f'emulator.origins: there is no region "{region}"', ""
    if bare:
        yield from _bare_board(target)
        yield from _bare_memory(target)
        yield from _bare_memory(target.emulated())
    own_board = emulator is not None and not emulator.other_board
    if emulator is not None and own_board and (emulator.origins or (bare and emulator.stand_in)):
        yield (
            "emulator.origins or stand_in without other_board = true",
            "a board with its memory elsewhere, or with another core, is another board",
        )


SMALLEST_DIVIDER = 16
"""Of a UART's clock: it samples each bit so often."""
_NO_CYCLE_COUNTER = ("cortex-m0", "cortex-m0plus")


def _bare_board(target: Target) -> Iterator[tuple[str, str]]:
    """The runner for the board is built from what stands here."""
    board = target.board
    if board is None or board.uart is None or board.cycles is None or board.clock_hz is None:
        yield (
            'os "none" without board.uart, board.cycles or board.clock_hz',
            "bare metal says how its board is reached",
        )
        return
    if not board.transport.startswith("uart:"):
        yield f'os "none" and board.transport "{board.transport}"', ""
    if (board.cycles == "systick") != (target.core in _NO_CYCLE_COUNTER):
        yield (
            f'core "{target.core}" and board.cycles "{board.cycles}"',
            "systick is for cores without a cycle counter",
        )
    if board.uart.baud * SMALLEST_DIVIDER > board.uart.clock_hz:
        yield (
            f"board.uart: {board.uart.baud} baud from {board.uart.clock_hz} Hz",
            f"the clock is at least {SMALLEST_DIVIDER} times as fast",
        )


def _bare_memory(target: Target) -> Iterator[tuple[str, str]]:
    """A linker script has one region for all that is written, and one, or two, for what is stored; they lie apart."""
    apart = any(memory.use == ("weights",) for memory in target.memory)
    for uses in ((("code",), ("weights",)) if apart else (STORED,)) + (WRITTEN,):
        holders = [m for m in target.memory if set(m.use) & set(uses)]
        if len(holders) != 1 or set(holders[0].use) != set(uses):
            yield (
                f"memory: {len(holders)} regions for {', '.join(uses)}",
                "bare metal has one region for these, and for nothing else",
            )
    end = 0
    for memory in sorted(target.memory, key=lambda m: m.origin):
        if memory.origin < end or memory.origin + memory.bytes > ADDRESSES:
            yield f"memory: region {memory.name} overlaps another, or ends beyond 4 GiB", ""
        end = memory.origin + memory.bytes
    if len({memory.name for memory in target.memory}) != len(target.memory):
        yield "memory: two regions have the same name", ""


def _fault(error: ErrorDetails) -> str:
    """What is wrong with a value, in a TOML author's words."""
    given = json.dumps(error["input"], default=str)
    given = given if len(given) <= 60 else f"{given[:57]}..."
    limits = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "the key is missing"
        case "extra_forbidden":
            return "unknown key"
        case "string_pattern_mismatch":
            return f"{given} has not the form {limits['pattern']}"
        case "literal_error":
            return f"{given} is none of {limits['expected'].replace(' or ', ', ')}"
        case "too_short":
            return "the list is empty"
        case "greater_than":
            return f"{given} is not above {limits['gt']}"
        case "less_than":
            return f"{given} is not below {limits['lt']}"
        case "multiple_of":
            return f"{given} is not a multiple of {limits['multiple_of']}"
        case "greater_than_equal":
            return f"{given} is below {limits['ge']}"
        case kind if kind in _WANTED:
            return f"{given} is not {_WANTED[kind]}"
        case _:
            return str(error["msg"])


_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "model_type": "a table",
    "string_type": "a text",
    "tuple_type": "a list",
}
"""Type of pydantic's error -> what a TOML file must have there."""


def _tuples(value: object) -> object:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def load(name: str) -> Target:
    """The shipped target called `name`.

    Raises:
        InputError: there is none; the message offers the nearest names.
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(
            re.sub(r"[\s_]+", "-", name.lower()), known, n=3, cutoff=0.4
        )
        offer = f"did you mean {' or '.join(near)}? " if near else ""
        raise InputError(f"unknown target {name!r}", f"{offer}`r2b-edge targets` lists all")
    content = resources.files(__name__).joinpath(f"{name}.toml").read_bytes()
    try:
        return parse(content.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise InputError(f"target file {name}.toml is not UTF-8") from error
