"""Several inputs and outputs, an open batch axis, types and shapes: the same through every form that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from test_safetensors import write as write_safetensors
from torch import nn
from torch.nn import functional as F

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import (
    LoadOptions,
    agreement,
    child,
    module_to_onnx,
    networks,
    reference,
    save,
    to_onnx,
)
from r2b_edge.frontend.answer import answer

SHAPES = ((1, 3, 8, 8), (1, 4, 8, 8))


class Two(nn.Module):
    """Two inputs, and a tuple within a tuple of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))

    def forward(
        self, image: torch.Tensor, extra: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        y = self.conv(image) + extra
        z = F.conv2d(torch.where(y >= 0, 1.0, -1.0), self.weight.sign(), padding=1)
        return z.mean((2, 3)), (z, y)


def two() -> Two:
    torch.manual_seed(0)
    return Two().eval()


def as_pt2(path: Path) -> dict[str, Any]:
    save(two(), tuple(torch.zeros(shape) for shape in SHAPES), path)
    return {"form": "pt2", "input_shape": None}


def as_torchscript(path: Path) -> dict[str, Any]:
    torch.jit.script(two()).save(path)
    return {"form": "torchscript", "exporter": "script"}


def as_state_dict(path: Path) -> dict[str, Any]:
    torch.save(two().state_dict(), path)
    return {"form": "state_dict", "model": f"{__file__}:Two"}


def as_safetensors(path: Path) -> dict[str, Any]:
    write_safetensors(path, two().state_dict())
    return {"form": "safetensors", "model": f"{__file__}:Two"}


def as_pickle(path: Path) -> dict[str, Any]:
    torch.save(two(), path)
    return {"form": "pickle", "allow_pickle": True}


def as_onnx(path: Path) -> dict[str, Any]:
    module_to_onnx(two(), tuple(torch.zeros(shape) for shape in SHAPES), path)
    return {"form": "onnx"}


FORMS = [as_pt2, as_torchscript, as_state_dict, as_safetensors, as_pickle, as_onnx]


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("exporter", ["dynamo", "script"])
@pytest.mark.parametrize("make", FORMS)
def test_every_form(make: Any, exporter: str, tmp_path: Path) -> None:
    """In this process, which has imported torch already; the child itself is tested elsewhere."""
    out = tmp_path / "out.onnx"
    request = {
        "path": tmp_path / "m", "exporter": exporter, "input_shape": SHAPES, "model": None, "source_dir": None,
        "out": out, "stage": tmp_path / "stage",
    } | make(tmp_path / "m")  # fmt: skip
    loaded = child._serve(request)
    assert [info["name"] for info in loaded["inputs"]] == ["image", "extra"]
    assert [tuple(info["shape"]) for info in loaded["inputs"]] == list(SHAPES)
    inputs = [torch.randn(shape) for shape in SHAPES]
    with torch.no_grad():
        mean, (z, y) = two()(*inputs)
    names = [info["name"] for info in loaded["inputs"]]
    feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    ours = reference.run(onnx.load(out), feed)
    assert len(ours) == 3
    for one, other in zip(ours, (mean, z, y), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-4)


class Spare(nn.Module):
    def forward(self, spare: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return image.sign()


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_an_input_that_nothing_reads(exporter: str) -> None:
    """Both exporters keep the network's signature; the older one by itself does not."""
    inputs = tuple(torch.zeros(shape) for shape in ((1, 7), SHAPES[0]))
    for module in (Spare().eval(), torch.jit.script(Spare()))[: 1 if exporter == "dynamo" else 2]:
        network = networks.of_inputs(module, inputs)
        made = network.dynamo() if exporter == "dynamo" else network.script()
        assert [value.name for value in made.graph.input] == ["spare", "image"]
        agreement.require_agreement(network, made, [], always=True)
        del made.graph.input[0]
        with pytest.raises(UnsupportedError, match="has 1 inputs, and that in PyTorch 2"):
            agreement.require_agreement(network, made, [], always=True)


class Gates(nn.Module):
    """Inputs by name and in a list, outputs in a dictionary: what only a .pt2 can say."""

    def forward(self, xs: list[torch.Tensor], *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": xs[0] + xs[1], "scaled": xs[0] * scale}


def test_packed_inputs_of_a_pt2(tmp_path: Path) -> None:
    xs = [torch.zeros(1, 3), torch.zeros(1, 3)]
    program = torch.export.export(Gates(), (xs,), {"scale": torch.zeros(1, 1)})
    torch.export.save(program, tmp_path / "m.pt2")
    loaded = to_onnx(tmp_path / "m.pt2", tmp_path / "m.onnx")
    assert [info.shape for info in loaded.inputs] == [(1, 3), (1, 3), (1, 1)]
    feed = {
        info.name: np.full(info.shape, value, np.float32)
        for info, value in zip(loaded.inputs, (1, 2, 5), strict=True)
    }
    total, scaled = reference.run(onnx.load(tmp_path / "m.onnx"), feed)
    assert total.tolist() == [[3, 3, 3]]
    assert scaled.tolist() == [[5, 5, 5]]


def test_an_open_batch_and_open_sizes_of_a_pt2(tmp_path: Path) -> None:
    net, path = nn.Conv2d(3, 4, 3).eval(), tmp_path / "m.pt2"
    sizes = {"x": {0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=4)}}

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

    program = torch.export.export(Named(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=sizes)
    torch.export.save(program, path)
    loaded = to_onnx(path, tmp_path / "m.onnx", LoadOptions(((1, 3, 10, 8),)))
    assert loaded.outputs[0].shape == (1, 4, 8, 6)
    assert any("batch axis" in note and "fixed to 1" in note for note in loaded.notes)
    with pytest.raises(InputError, match=r"with open sizes; .*--input-shape 1,3,32,8"):
        to_onnx(path, tmp_path / "m.onnx")


class TestWrongShapes:
    """Told before the export, which takes a while."""

    @pytest.mark.parametrize(
        ("shapes", "message"),
        [
            ((SHAPES[0],), "names 1 inputs, the model has 2"),
            ((SHAPES[0], (1, 4, 8, 9)), "input 'extra' is 1x4x8x8, and 1x4x8x9 does not fit it"),
            ((SHAPES[1], SHAPES[0]), "input 'image' is 1x3x8x8, and 1x4x8x8 does not fit it"),
        ],
    )
    def test_of_a_pt2(self, shapes: Any, message: str, tmp_path: Path) -> None:
        path = tmp_path / "m.pt2"
        as_pt2(path)
        with pytest.raises(InputError, match=message):
            networks.load({"path": path, "form": "pt2", "input_shape": shapes}, [])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda net: net.half(), "float16"),
        (lambda net: net.bfloat16(), "bfloat16"),
        (lambda net: net.double(), "float64"),
    ],
)
def test_modules_in_other_types(change: Any, kind: str, tmp_path: Path) -> None:
    net = change(nn.Linear(3, 4))
    save(net, torch.zeros(1, 3, dtype=net.weight.dtype), tmp_path / "m.pt2")
    with pytest.raises(UnsupportedError, match=rf"computes in {kind} .*call model\.float\(\)"):
        networks.load({"path": tmp_path / "m.pt2", "form": "pt2", "input_shape": None}, [])


def test_half_weights_of_a_state_dict_become_float32(tmp_path: Path) -> None:
    torch.save(two().half().state_dict(), tmp_path / "w.pt")
    request = {
        "path": tmp_path / "w.pt", "form": "state_dict", "input_shape": SHAPES, "model": f"{__file__}:Two",
        "source_dir": None,
    }  # fmt: skip
    assert networks.load(request, []).shapes is None


def test_an_answer_tells_of_mistakes_and_of_bugs(tmp_path: Path) -> None:
    def mistake() -> dict[str, Any]:
        raise InputError("yours", "do this")

    def bug() -> dict[str, Any]:
        raise KeyError("ours")

    answer(mistake, tmp_path / "a")
    assert (tmp_path / "a").read_text() == (
        '{"error": {"kind": "InputError", "message": "yours", "hint": "do this"}}'
    )
    answer(bug, tmp_path / "b")
    assert "KeyError: 'ours'" in (tmp_path / "b").read_text()
