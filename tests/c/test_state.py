"""A program has no state but its arena: constants are const."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge.exporters.c import build_program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.render import render

from .harness import Target
from .nets import NETS

KERNELS = Path(__file__).parents[2] / "firmware_templates" / "kernels"
WRITABLE = re.compile(r"^ +\d+ (\.t?data\S*|\.t?bss\S*) +([0-9a-f]+) ", re.MULTILINE)


def writable(compiler: str, folder: Path, sources: list[Path]) -> dict[str, int]:
    """Bytes of each section that a program could write to, by file and section; common symbols too."""
    flags = ["-std=c11", "-O0", "-fno-pic", f"-I{KERNELS}", f"-I{folder}"]
    flags += CORE if compiler.startswith("arm-") else []
    subprocess.run([compiler, *flags, "-c", *map(str, sources)], cwd=folder, check=True)
    found = {}
    for source in sources:
        argv = ["objdump", "-ht", f"{source.stem}.o"]
        listed = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout
        sizes = {name: int(size, 16) for name, size in WRITABLE.findall(listed)}
        sizes["common"] = listed.count("*COM*")
        found |= {f"{source.name} {name}": size for name, size in sizes.items() if size}
    return found


FAMILIES = {
    "gcc": (),
    "clang": (),
    "aarch64-linux-gnu-gcc": ("neon",),
    "arm-none-eabi-gcc": ("dsp", "mve"),
}
"""The kernels that a compiler takes beside the portable ones."""
CORE = ["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"]


@pytest.mark.parametrize("compiler", FAMILIES)
def test_nothing_is_written_but_the_arena(
    compiler: str, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    """In no kernel, in the runtime and in no model is there a byte in a section that is written."""
    require_tool(compiler, "objdump")
    program = build_program(NETS["net"], Target(), "net", {})
    for path, content in render(program, Target()):
        if path.startswith("model/"):
            (tmp_path / Path(path).name).write_bytes(content)
    others = {kernel.family for kernel in REGISTRY} - {"portable", *FAMILIES[compiler]}
    kernels = [k for k in sorted(KERNELS.glob("*.c")) if k.stem.rpartition("_")[2] not in others]
    sources = [*kernels, tmp_path / "net.c", tmp_path / "net_weights.c"]
    assert writable(compiler, tmp_path, sources) == {}


@pytest.mark.parametrize("compiler", [name for name in FAMILIES if not name.startswith("arm-")])
def test_state_is_seen(compiler: str, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(compiler, "objdump")
    source = tmp_path / "state.c"
    source.write_text(
        "extern int a, c; int a = 3; static int b; _Thread_local int d; const int e = 1;\n"
        "int *f(void); int *f(void) { static int calls = 7; return calls++ ? &b : &a; }\n"
    )
    assert writable(compiler, tmp_path, [source]) == {
        "state.c .data": 8,
        "state.c .bss": 4,
        "state.c .tbss": 4,
    }
