"""Models that are damaged, hostile, absurd or not supported: one line, the right exit code, and OUT as it was."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from cli_nets import binary_net, fault, run, save
from torch import nn

from r2b_edge.errors import InputError
from r2b_edge.frontend import LoadOptions
from r2b_edge.pipeline import load_model

Earlier = tuple[Path, Callable[[], None]]


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def refused(model: Path, earlier: Earlier, code: int = 2, *options: object) -> str:
    """Export over an earlier export; it ends with `code`, the earlier one stays, and the message is returned."""
    out, intact = earlier
    result = run("export", model, "--target", "host", "--out", out, *options)
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    intact()
    return fault(result)


def test_a_truncated_pt2(pt2_file: Path, earlier: Earlier, tmp_path: Path) -> None:
    path = tmp_path / "cut.pt2"
    path.write_bytes(pt2_file.read_bytes()[:-400])
    assert "cut.pt2 is a damaged" in refused(path, earlier)


def test_a_pt2_with_a_hostile_pickle(pt2_file: Path, earlier: Earlier, tmp_path: Path) -> None:
    import torch

    mark, path, bomb = tmp_path / "ran", tmp_path / "hostile.pt2", io.BytesIO()
    torch.save(Bomb(mark), bomb)
    with zipfile.ZipFile(pt2_file) as sound, zipfile.ZipFile(path, "w") as hostile:
        for name in sound.namelist():
            swap = name.endswith("sample_inputs/model.pt")
            hostile.writestr(name, bomb.getvalue() if swap else sound.read(name))
    assert "hostile.pt2 is refused: it holds a pickled object" in refused(path, earlier)
    assert not mark.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011 - PyTorch alone runs it, and fails afterwards
        torch.export.load(path)
    assert mark.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module(legacy: bool, earlier: Earlier, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "module.pt"
    torch.save(torch.nn.ReLU(), path, _use_new_zipfile_serialization=not legacy)
    said = refused(path, earlier)
    assert "module.pt is a pickled Python object (torch.nn.modules.activation.ReLU)" in said
    assert "r2b_edge.save(" in said


def test_a_bare_pickle_is_not_run(earlier: Earlier, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    assert "could run code when loaded" in refused(path, earlier)
    assert not mark.exists()
    with path.open("rb") as file:
        pickle.load(file)
    assert mark.exists()


def test_a_state_dict_without_its_network(earlier: Earlier, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    assert "--model FILE.py:CALLABLE" in refused(path, earlier)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"hello\n", "plain text"),
        (b"\0" * 5000, "not a model file of a known form"),
        (b"PK\x03\x04" + b"\0" * 100, "damaged"),
    ],
)
def test_what_is_no_model(
    content: bytes | None, words: str, earlier: Earlier, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt2"
    if content is not None:
        path.write_bytes(content)
    assert words in refused(path, earlier)


def test_a_folder_is_no_model(earlier: Earlier, tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path, earlier)


def test_a_truncated_onnx(onnx_file: Path, earlier: Earlier, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(onnx_file.read_bytes()[:-300])
    assert "damaged or truncated" in refused(path, earlier)


def test_an_onnx_with_a_cycle(earlier: Earlier, tmp_path: Path) -> None:
    model = binary_net()
    first, last = model.graph.node[1], model.graph.node[-1]
    first.input[0] = last.output[0]
    assert "part of a cycle" in refused(save(model, tmp_path / "m.onnx"), earlier)


def test_an_onnx_with_a_missing_initializer(earlier: Earlier, tmp_path: Path) -> None:
    model = binary_net()
    missing = model.graph.initializer[0].name
    del model.graph.initializer[0]
    said = refused(save(model, tmp_path / "m.onnx"), earlier)
    assert f"reads '{missing}', which nothing in the file produces" in said


def test_a_net_without_a_binary_layer(earlier: Earlier, tmp_path: Path) -> None:
    said = refused(save(binary_net(binary=False), tmp_path / "float.onnx"), earlier, 3)
    assert "no binary layer among 3" in said
    assert "its weights are real" in said or "its input is real" in said
    assert "must be binarised in forward()" in said


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (["1,3,9,9"], "is 1x3x8x8, and 1x3x9x9 does not fit it"),
        (["3,8,8"], "does not fit it"),
        (["1,3,8,8", "1,3,8,8"], "names 2 inputs, the model has 1"),
        (["1,3,0,8"], "sizes must be 1 or more"),
    ],
)
def test_a_wrong_input_shape(
    shapes: list[str], words: str, onnx_file: Path, earlier: Earlier
) -> None:
    options = [part for shape in shapes for part in ("--input-shape", shape)]
    assert words in refused(onnx_file, earlier, 2, *options)


def _channels(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 1 << 31


def _terabytes(model: onnx.ModelProto) -> None:
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 1 << 22


def _padding(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].ints[:] = [1 << 22] * 4


@pytest.mark.parametrize("enlarge", [_channels, _terabytes, _padding])
def test_absurd_sizes(
    enlarge: Callable[[onnx.ModelProto], None], earlier: Earlier, tmp_path: Path
) -> None:
    """Each claims terabytes in a file of a few kilobytes. None of them is ever allocated."""
    import resource

    model = binary_net()
    enlarge(model)
    refused(save(model, tmp_path / "m.onnx"), earlier)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kib < 2 << 20


def test_weights_that_are_no_numbers(earlier: Earlier, tmp_path: Path) -> None:
    model = binary_net()
    weight = model.graph.initializer[0]
    weight.raw_data = b"\xff" * len(weight.raw_data)
    assert "not finite" in refused(save(model, tmp_path / "m.onnx"), earlier, 3)


def test_a_mistake_is_told_before_anything_is_read(tmp_path: Path) -> None:
    result = run("export", tmp_path / "none.onnx", "--target", "rpi44", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert fault(result).startswith("unknown target 'rpi44'; did you mean rpi4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "A", "1a", "a;b", "stdio", "x" * 60, ""])
def test_a_name_that_is_none_in_c(name: str, onnx_file: Path, earlier: Earlier) -> None:
    refused(onnx_file, earlier, 2, "--name", name)


def test_objects_that_are_no_model(tmp_path: Path) -> None:
    for wrong, words in ((nn.ReLU, "not the class ReLU; make the module first"), ({}, "not dict")):
        with pytest.raises(InputError, match=f"a model is a file or an nn.Module, {words}"):
            load_model(wrong, torch.zeros(1), tmp_path / "model.onnx", LoadOptions(), False)
