"""One TOML a target, and its typed loader.

A target is one flat file `<name>.toml` in this folder; there is no inheritance, an unknown key is an
error, and every shipped file is validated by one test. To add a target, add its file.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
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


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Memory(_Table):
    """A region of the target's memory; `origin` and `bytes` in bytes, `use` says what may lie there."""

    name: Name
    origin: Annotated[int, Field(ge=0)] = 0
    bytes: Annotated[int, Field(gt=0)]
    use: tuple[Literal["code", "weights", "arena", "stack", "data"], ...]


class Emulator(_Table):
    """How this machine runs the target's programs.

    Attributes:
        argv: the command before the program's path, the emulator's name first.
        stand_in: the emulated core is not the target's own; a report names the command, and with it the core.
        transport: how the program talks: "stdio" is its standard input and output.
    """

    argv: Annotated[tuple[Argument, ...], Field(min_length=1)]
    stand_in: bool = False
    transport: Literal["stdio"] = "stdio"


class Board(_Table):
    """How a real board is reached."""

    transport: Literal["ssh"]


class Target(_Table):
    """A kind of device to build for.

    Attributes:
        name: as on the command line, equal to the file's name.
        title: for people.
        arch: "native" is the machine that this runs on, whatever it is.
        core: the processor core, as GCC's -mcpu names it ("native" for the host).
        os: what the program runs on.
        triple: prefix of the cross-compiler's tools without the last dash; "" for the host's own.
        flags: compiler flags; only -m, -f and -O ones.
        families: kernel families, the most wanted first.
        clock_hz: of the core at full speed; None where it is not known.
        memory: regions, or for Linux the device's RAM.
        emulator: None where the programs run on this machine itself.
        board: None where there is no board to reach.
    """

    name: Name
    title: str
    arch: Literal["native", "aarch64"]
    core: Name
    os: Literal["linux"]
    triple: Triple = ""
    flags: tuple[Flag, ...] = ()
    families: Annotated[tuple[Name, ...], Field(min_length=1)]
    clock_hz: Annotated[int, Field(gt=0)] | None = None
    memory: tuple[Memory, ...] = ()
    emulator: Emulator | None = None
    board: Board | None = None


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
    if (target.arch == "native") != (target.triple == ""):
        raise InputError(
            f'target file {name}.toml: arch "{target.arch}" and triple "{target.triple}"'
        )
    emulator = target.emulator
    if emulator is not None and (target.core in emulator.argv) == emulator.stand_in:
        raise InputError(
            f'target file {name}.toml: core "{target.core}" and emulator "{" ".join(emulator.argv)}"',
            "stand_in = true says that the emulator has another core, and only that",
        )
    return target


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
