"""Read a safetensors file: a state_dict without any code. Runs in the child process only: it imports torch.

The format (its README): 8 bytes of little-endian header length, a JSON object of
{name: {"dtype", "shape", "data_offsets": [begin, end]}} and "__metadata__", then the tensors' bytes, little-endian and
in C order, which the offsets cover without gap or overlap.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from r2b_edge.errors import InputError

MAX_HEADER_BYTES = 100 << 20
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def load(path: Path) -> dict[str, torch.Tensor]:
    """Its tensors by name.

    Raises:
        InputError: damaged, or of a type that no state_dict for this tool has.
    """
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise InputError(f"{path} is a damaged or truncated safetensors file")
    try:
        header = json.loads(data[8 : 8 + length])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        body = memoryview(data)[8 + length :]
        tensors = {name: _tensor(entry, body) for name, entry in entries.items()}
        used = sorted(tuple(entry["data_offsets"]) for entry in entries.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is a damaged safetensors file: its header is wrong") from error
    ends = [0, *(end for _, end in used)]
    if [begin for begin, _ in used] != ends[:-1] or ends[-1] != len(body):
        raise InputError(f"{path} is a damaged or truncated safetensors file")
    return tensors


def _tensor(entry: dict[str, Any], body: memoryview) -> torch.Tensor:
    begin, end = entry["data_offsets"]
    shape, dtype = entry["shape"], _DTYPES[entry["dtype"]]
    sizes = (begin, end, *shape)
    if not all(isinstance(size, int) and size >= 0 for size in sizes) or end > len(body):
        raise ValueError("sizes")
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise ValueError("size")
    if begin == end:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(bytearray(body[begin:end]), dtype=dtype).reshape(shape)
