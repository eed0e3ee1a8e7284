"""safetensors files: weights without code, held against the format's specification."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from frontend_nets import tiny

from r2b_edge.errors import InputError
from r2b_edge.frontend import Form, safetensors, sniff

NAMES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """As the format's own library writes it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def test_tensors_come_back(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.randn(3, 4),
        "half": torch.randn(5).half(),
        "brain": torch.randn(5).bfloat16(),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "none": torch.zeros(0, 3),
    }
    path = write(tmp_path / "m.bin", tensors)
    assert sniff(path) is Form.SAFETENSORS
    loaded = safetensors.load(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype is tensor.dtype


def test_state_dict_of_a_network(tmp_path: Path) -> None:
    state = tiny().state_dict()
    loaded = safetensors.load(write(tmp_path / "m.safetensors", state))
    net = type(tiny())()
    net.load_state_dict(loaded)
    assert all(torch.equal(net.state_dict()[name], state[name]) for name in state)


def with_entry(path: Path, **changes: Any) -> Path:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    text = json.dumps({"w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "F31"},
        {"shape": [3]},
        {"shape": [-2]},
        {"shape": ["2"]},
        {"shape": [1 << 62]},
        {"data_offsets": [0, 4]},
        {"data_offsets": [0, 12]},
        {"data_offsets": [4, 12]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [0]},
        {"dtype": None},
        {"shape": None},
    ],
)
def test_damaged_headers(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert safetensors.load(with_entry(tmp_path / "good"))["w"].tolist() == [0, 0]
    with pytest.raises(InputError, match="damaged"):
        safetensors.load(with_entry(tmp_path / "bad", **changes))


def test_truncated_and_overlapping(tmp_path: Path) -> None:
    path = write(tmp_path / "m", {"a": torch.ones(4), "b": torch.ones(4)})
    data = path.read_bytes()
    for damaged in (data[:-3], data + b"x", data[:40], data.replace(b"[16, 32]", b"[0, 16] ")):
        assert damaged != data
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            safetensors.load(path)
