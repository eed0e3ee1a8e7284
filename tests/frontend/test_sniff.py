"""Every form of file is told by its content, and refused by its name where it is not accepted."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from frontend_nets import tiny

from r2b_edge.errors import InputError
from r2b_edge.frontend import Form, sniff


def zipped(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("legacy", [False, True])
def test_state_dict(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "model.onnx"  # the name lies
    torch.save(tiny().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    assert sniff(path) is Form.STATE_DICT


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_module_is_named(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save(tiny(), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        InputError, match=r"pickled Python object \(frontend_nets\.Tiny\).*r2b_edge\.save"
    ):
        sniff(path)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.onnx", "m.safetensors", "m.h5", "m"])
def test_the_name_is_never_asked(
    tmp_path: Path, tiny_pt2: Path, tiny_onnx: tuple[Path, object], name: str
) -> None:
    path = tmp_path / name
    for form, data in (
        (Form.PT2, tiny_pt2.read_bytes()),
        (Form.ONNX, tiny_onnx[0].read_bytes()),
        (Form.SAFETENSORS, struct.pack("<Q", 2) + b"{}" + bytes(8)),
    ):
        path.write_bytes(data)
        assert sniff(path) is form
    zipped(path, {"m/code/net.py": b"", "m/data.pkl": b"", "m/constants.pkl": b""})
    assert sniff(path) is Form.TORCHSCRIPT


def test_pt2_and_onnx(tiny_pt2: Path, tiny_onnx: tuple[Path, object]) -> None:
    assert sniff(tiny_pt2) is Form.PT2
    assert sniff(tiny_onnx[0]) is Form.ONNX


def test_onnx_is_recognised_when_cut_off(tmp_path: Path, tiny_onnx: tuple[Path, object]) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(tiny_onnx[0].read_bytes()[:1000])
    assert sniff(path) is Form.ONNX


FOREIGN = [
    (b"", "is empty"),
    (b"import torch\nmodel = Net()\n", "plain text file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
    (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
    (b"\x1c\x00\x00\x00TFL3" + bytes(64), "TensorFlow Lite"),
    (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
    (b"  <html lang='en'>", "web page"),
    (bytes(257) + b"ustar" + bytes(300), "tar archive"),
    (b"\x1f\x8b\x08" + bytes(64), "compressed by gzip"),
    (b"BZh9" + bytes(64), "compressed by bzip2"),
    (b"\xfd7zXZ\0" + bytes(64), "compressed by xz"),
    (b"\x28\xb5\x2f\xfd" + bytes(64), "compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(64), "7z archive"),
    (b"Rar!\x1a\x07" + bytes(64), "rar archive"),
    (b"\x93NUMPY" + bytes(64), "numpy array"),
    (b"GGUF" + bytes(64), "GGUF"),
    (bytes(4) + b"ORTM" + bytes(64), r"onnxruntime \.ort model"),
    (bytes(4) + b"ET12" + bytes(64), "ExecuTorch"),
    (b"\x80\x04\x95" + bytes(32), "Python pickle"),
    (b"\x7fELF" + bytes(64), "compiled program"),
    (b"\x0a\x03abc\x0a\x03abc", "not a model file"),  # a protobuf, but not onnx's
    (bytes(range(256)), "not a model file"),
]


@pytest.mark.parametrize(("data", "message"), FOREIGN, ids=[message for _, message in FOREIGN])
def test_foreign_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        sniff(path)
    assert "\n" not in str(caught.value)
    assert "r2b_edge.save" in str(caught.value)


ARCHIVES = [
    ({"run1/best.pth": b"", "run1/log.txt": b""}, r"zip archive of best\.pth: unpack it first"),
    ({"serialized_exported_program.json": b"{}", "version": b"5.3"}, "older PyTorch"),
    ({"config.json": b"{}", "model.weights.h5": b""}, "Keras"),
    ({"x.npy": b"", "y.npy": b""}, "npz"),
    ({"readme.txt": b"hello"}, "holds no model"),
    ({"/etc/passwd": b""}, "'/etc/passwd'"),
    ({"m/../../x": b""}, "'m/../../x'"),
    ({"m/data.pkl": b"\x80\x02garbage"}, "damaged torch.save"),
]


@pytest.mark.parametrize(("members", "message"), ARCHIVES, ids=[text for _, text in ARCHIVES])
def test_foreign_archives(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    path = tmp_path / "model.pt2"
    zipped(path, members)
    with pytest.raises(InputError, match=message):
        sniff(path)


def test_numpy_archive_by_numpy(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    np.savez(path.open("wb"), x=np.zeros(3))
    with pytest.raises(InputError, match="npz"):
        sniff(path)


@pytest.mark.parametrize("keep", [10, 1000, -5, -30, -200])
def test_truncated_archive(tmp_path: Path, tiny_pt2: Path, keep: int) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(tiny_pt2.read_bytes()[:keep])
    with pytest.raises(InputError, match="truncated"):
        sniff(path)


def test_flipped_bit_in_a_weight(tmp_path: Path, tiny_pt2: Path) -> None:
    data = bytearray(tiny_pt2.read_bytes())
    with zipfile.ZipFile(tiny_pt2) as archive:
        member = next(item for item in archive.infolist() if item.filename.endswith("weight_0"))
    start = data.index(b"weight_0", member.header_offset)
    data[start + 300] ^= 1
    path = tmp_path / "model.pt2"
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum"):
        sniff(path)


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/data/weights/weight_0", bytes(200 << 20))
    with pytest.raises(InputError, match="zip bomb"):
        sniff(path)


def test_folder_and_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        sniff(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(InputError, match="SavedModel"):
        sniff(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        sniff(tmp_path / "none.pt2")


def test_hostile_class_name_is_shown_in_one_harmless_line(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    zipped(path, {"m/data.pkl": b"\x80\x02cevil\x1b[2J\nname\n)R."})
    with pytest.raises(InputError) as caught:
        sniff(path)
    assert "evil" in str(caught.value)
    assert str(caught.value).isprintable()


def test_sniffing_runs_nothing(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "model.pt"
    torch.save(Bomb(), path)
    with pytest.raises(InputError, match=r"posix\.mkdir"):
        sniff(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)  # the bomb is a real one
    assert (tmp_path / "ran").exists()


def test_long_safetensors_header_is_no_match(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(struct.pack("<Q", 1 << 40) + json.dumps({"a": 1}).encode() + b"\x00\xff")
    with pytest.raises(InputError, match="not a model file"):
        sniff(path)
