"""A Program to the files of the C project. The templates hold the C; here are number formats and safe comments."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np

from r2b_edge.errors import InputError
from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.program import Constant, Program, ProgramTensor
from r2b_edge.exporters.c.project import Platform, generated_files, runner_files
from r2b_edge.graph.graph import Array

HEADERS = ("r2b.h", "r2b_epilogue.h", "r2b_rows.h", "r2b_kernels.h", "r2b_math.h", "r2b_half.h")
PER_LINE = 8
C_TYPES: dict[type, str] = {
    np.float32: "float",
    np.float16: "uint16_t",
    np.uint32: "uint32_t",
    np.int8: "int8_t",
}
"""Of constants; halves are written as their bits, since C has no literals for them."""


def write(program: Program, target: Platform, out: Path) -> None:
    """Write the C project.

    Args:
        program: what to write.
        target: gives the cross-compiler and its flags, and the memory map of bare metal.
        out: the folder, made if it is missing.

    Raises:
        InputError: a file cannot be written.
    """
    try:
        for path, content in render(program, target):
            file = out / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write the C project: {error}") from error


def render(program: Program, target: Platform) -> Iterator[tuple[str, bytes]]:
    """Every file of the project: its path in it and its content. The same program gives the same bytes."""
    templates = files("r2b_edge.firmware_templates")
    kernels = templates / "kernels"
    for name in HEADERS:
        yield f"include/{name}", (kernels / name).read_bytes()
    for name in program.sources:
        yield f"src/{name}", (kernels / name).read_bytes()
    for path in runner_files(target):
        file = templates / path
        yield f"runner/{file.name}", file.read_bytes()
    yield "LICENSE", (templates / "LICENSE").read_bytes()

    name = program.name
    sources = [f"src/{s}" for s in program.sources] + [f"model/{name}.c", f"model/{name}_weights.c"]
    values = {
        "program": program,
        "target": target,
        "index_of": {t.name: t.index for t in program.tensors},
        "model_name": name,
        "sources": sources,
        "os": target.os,
    }
    for template, path in (
        ("model/model.h.j2", f"model/{name}.h"),
        ("model/model.c.j2", f"model/{name}.c"),
        ("model/weights.h.j2", f"model/{name}_weights.h"),
        ("model/weights.c.j2", f"model/{name}_weights.c"),
        ("model/README.md.j2", "README.md"),
    ):
        yield path, _rendered(template, values, trim=True)
    for template, path, more in generated_files(target):
        yield path, _rendered(template, values | more, trim=False)


def _rendered(template: str, values: Mapping[str, object], trim: bool) -> bytes:
    return _environment(trim).get_template(template).render(values).encode("utf-8")


@functools.cache
def _environment(trim: bool) -> jinja2.Environment:
    """Templates by path; with `trim`, a line that holds a block tag only leaves nothing behind.

    One for all programs: it keeps the templates that it has compiled, which takes longer than to render them.
    """
    environment = jinja2.Environment(  # noqa: S701 - C, not HTML
        loader=jinja2.FunctionLoader(
            lambda name: files("r2b_edge.firmware_templates").joinpath(name).read_text("utf-8")
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=trim,
        lstrip_blocks=trim,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "comment": comment,
        "number": number,
        "rows": rows,
        "hwc": hwc,
        "flash": flash,
        "shape": lambda tensor: f"{tensor.layout.name} {list(hwc(tensor))}",
        "c_type": lambda constant: C_TYPES[constant.array.dtype.type],
    }
    return environment


def comment(text: str) -> str:
    """Text that a model supplied, fit for a comment or Markdown: one line of harmless ASCII, at most 80 characters.

    Nothing that ends a comment, continues a line or makes a trigraph is left.
    """
    safe = re.sub(r"[^A-Za-z0-9_ .,:;=+\-/()\[\]@]", "_", text)
    return safe if len(safe) <= 80 else safe[:77] + "..."


def number(value: int | float) -> str:
    """A C literal of exactly this integer or float32."""
    return (
        str(int(value))
        if isinstance(value, int | np.integer)
        else _float(f"{np.float32(value):.9g}")
    )


def flash(command: Sequence[str]) -> str:
    """The line of shell that writes the board's program, from a folder with a build in build/."""
    paths = {"elf": "build/r2b_runner_uart.elf", "bin": "build/r2b_runner_uart.bin"}
    return shlex.join(argument.format_map(paths) for argument in command)


def hwc(tensor: ProgramTensor) -> tuple[int, int, int]:
    """Height, width and channels; a vector is a 1x1 map."""
    channels, height, width = chw(tensor.type)
    return height, width, channels


def _float(text: str) -> str:
    if text in _NAMED:
        return _NAMED[text]
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


_NAMED = {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}


def rows(constant: Constant) -> Iterator[str]:
    """The values of a constant as lines of C; nine significant digits give a float32 back exactly."""
    literals = _literals(constant.array.reshape(-1))
    for i in range(0, len(literals), PER_LINE):
        yield ", ".join(literals[i : i + PER_LINE])


def _literals(flat: Array) -> list[str]:
    if flat.dtype == np.float32:
        return [_float(f"{value:.9g}") for value in flat.tolist()]
    if flat.dtype == np.float16:
        return [f"0x{value:04x}" for value in flat.view(np.uint16).tolist()]
    if flat.dtype == np.int8:
        return [str(value) for value in flat.tolist()]
    return [f"0x{value:08x}" for value in flat.tolist()]
