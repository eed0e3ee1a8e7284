"""What the exporter knows of a kernel, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from r2b_edge.exporters.c.anchors import is_half
from r2b_edge.exporters.c.layout import Layout
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Op

if TYPE_CHECKING:  # which import this
    from r2b_edge.exporters.c import lut4
    from r2b_edge.exporters.c.select import Tile

Field: TypeAlias = "int | float | str | Array | dict[str, int]"
"""A parameter of a kernel: a number, a symbol in C, an array that becomes a constant, or a nested struct."""

ALL_TILES = frozenset({
    "AFFINE", "PRELU", "CLIP", "SIGMOID", "ADD_MAP", "MUL_MAP", "ADD_VECTOR", "MUL_VECTOR", "STORE", "BITS", "MEAN",
    "CALL",
})  # fmt: skip
"""Every operation of an epilogue, R2B_TILE_<name> in C."""

Rule: TypeAlias = Callable[[Op, TensorType, TensorType], bool]
Size: TypeAlias = Callable[[Op, TensorType, TensorType], int]
Packer: TypeAlias = Callable[[Op, TensorType, TensorType], Mapping[str, Field]]
Splitter: TypeAlias = Callable[[Op, TensorType, TensorType, int], "Split"]
Taker: TypeAlias = "Callable[[Op, TensorType, TensorType, Sequence[Tile]], bool]"
Fuser: TypeAlias = "Callable[[Op, TensorType, TensorType, Sequence[Tile]], lut4.Fusion]"


@dataclass(frozen=True)
class Split:
    """How a kernel cuts its work into tasks itself.

    Args:
        fields: numbers of tasks, members of its struct.
        rows: tasks that share the rows: a mean has sums for each.
        workspace: bytes that it needs beside those of Kernel.workspace, which are for one task.
    """

    fields: Mapping[str, int]
    rows: int = 1
    workspace: int = 0


@dataclass(frozen=True)
class Kernel:
    """One C function r2b_<name>(const <struct> *, const r2b_epilogue *, uint8_t *arena, const r2b_parallel *).

    The rules take the anchor's op, the type of its input and the type of its output.

    Args:
        name: of the function, without the prefix.
        op: the class of op that it computes.
        family: the instruction set that it is written for.
        struct: the C type of its parameters; the exporter sets its members `work` and `input`, or `inputs` for several.
        source: its file in firmware_templates/kernels.
        reads: the layout of its inputs.
        writes: the layouts of its outputs and of its epilogue's map operands, the preferred one first.
        pack: its other parameters.
        workspace: bytes of arena that it needs for itself.
        fits: False for shapes that it cannot do.
        wins: False for shapes that another kernel, of this family or of one behind it, does faster.
        tiles: the epilogue's operations that it can do.
        takes: False for epilogues that it cannot do, or not exactly enough, although it can do their operations.
        in_place: True if an output map may take the input's place: each pixel is read before it is written.
        trails: True if it computes pixel by pixel in raster order and reads a pixel's window before it writes the
            pixel, so that its output may begin where its input does if the window allows it (see in_place.py).
        by_rows: True if it can compute a part of its rows as r2b_part in r2b_rows.h has it.
        rows_at_once: with by_rows, how many rows it computes as cheaply as one.
        alignment: of its tensors and of its workspace.
        over_read: bytes that it may read beyond the end of its input.
        several: True if it reads several tensors.
        headers: files beside `source` that it includes.
        others: further files that are compiled, assembly for one.
        fuse: what it makes of its epilogue, where that changes its parameters.
        half: True if it has a second function, r2b_<name>_half, which reads its weights in half precision; without
            one it cannot take an op whose weights are halves.
        split: into how many tasks it cuts its work itself, at most so many as its last argument says; None: into one,
            unless it is called by rows.
        exact: False if it computes a float layer by other sums than the layer's, which round more: `--exact-float` does
            without it.
    """

    name: str
    op: type[Op]
    family: str
    struct: str
    source: str
    reads: Layout
    writes: tuple[Layout, ...]
    pack: Packer
    workspace: Size
    fits: Rule = lambda op, x, y: True
    tiles: frozenset[str] = ALL_TILES
    takes: Taker = lambda op, x, y, tiles: True
    in_place: bool = False
    trails: bool = False
    by_rows: bool = False
    rows_at_once: int = 1
    alignment: int = 16
    over_read: int = 0
    several: bool = False
    headers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    fuse: Fuser | None = None
    wins: Rule = lambda op, x, y: True
    half: bool = False
    split: Splitter | None = None
    exact: bool = True

    def function(self, op: Op) -> str:
        """The function that computes `op`, without the prefix."""
        return f"{self.name}_half" if is_half(op) else self.name


def choose(
    op: Op,
    x: TensorType,
    y: TensorType,
    tiles: Sequence[Tile],
    families: Iterable[str],
    registry: Iterable[Kernel],
) -> Kernel | None:
    """The first kernel of the first family that computes `op` on these types with these tile operations."""
    needed = {tile.kind for tile in tiles}
    known = list(registry)
    for family in families:
        for kernel in known:
            right = kernel.family == family and isinstance(op, kernel.op)
            right &= kernel.half or not is_half(op)
            able = right and needed <= kernel.tiles and kernel.fits(op, x, y)
            if able and kernel.wins(op, x, y) and kernel.takes(op, x, y, tiles):
                return kernel
    return None
