"""TorchScript archives: what they compute gets in, what they could do beside does not run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from frontend_nets import tiny
from torch import nn

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import (
    Form,
    LoadOptions,
    module_to_onnx,
    reference,
    sniff,
    to_onnx,
    torchscript,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
SHAPE = ((1, 3, 8, 8),)


def outputs(path: Path, *inputs: torch.Tensor) -> list[torch.Tensor]:
    model = onnx.load(path)
    names = [value.name for value in model.graph.input]
    arrays = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    return [torch.from_numpy(y) for y in reference.run(model, arrays)]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network, traced; the name lies."""
    path = tmp_path_factory.mktemp("ts") / "model.onnx"
    with torch.no_grad():
        torch.jit.trace(tiny().eval(), torch.rand(1, 3, 8, 8)).save(path)
    return path


def test_traced(traced: Path, tmp_path: Path) -> None:
    assert sniff(traced) is Form.TORCHSCRIPT
    out = tmp_path / "model.onnx"
    loaded = to_onnx(traced, out, LoadOptions(SHAPE))
    assert loaded.form == "torchscript"
    assert [(info.name, info.shape) for info in loaded.inputs] == [("x", (1, 3, 8, 8))]
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(outputs(out, x)[0], tiny().eval()(x), rtol=1e-4, atol=1e-5)
    nodes = {node.op_type: node.name for node in onnx.load(out).graph.node}
    assert "BatchNormalization" in nodes  # not fused with the convolution before it
    assert {node.name for node in onnx.load(out).graph.node if node.op_type == "Conv"} >= {"stem"}


def test_needs_the_shape(traced: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"TorchScript archive, which does not say .*--input-shape 1,3,32,32"
    ):
        to_onnx(traced, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"names 2 inputs, and the forward of .* takes \(x\)"):
        torchscript.load(traced, 2)
    with pytest.raises(InputError, match=r"does not take an input of 1x4x8x8"):
        to_onnx(traced, tmp_path / "model.onnx", LoadOptions(((1, 4, 8, 8),)))


def test_in_memory(traced: Path, tmp_path: Path) -> None:
    out, x = tmp_path / "model.onnx", torch.randn(1, 3, 8, 8)
    loaded = module_to_onnx(torch.jit.load(traced), x, out)
    assert loaded.form == "nn.Module"
    assert loaded.notes == []
    with torch.no_grad():
        torch.testing.assert_close(outputs(out, x)[0], tiny().eval()(x), rtol=1e-4, atol=1e-5)


class Loops(nn.Module):
    """Control flow that a trace would lose, a second output, and an argument with a default."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.times = 3

    def forward(
        self, x: torch.Tensor, y: torch.Tensor, twice: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        for _ in range(self.times):
            x = self.conv(x)
        if twice:
            x = x * 2
        return x, x + y


def test_scripted_with_two_inputs_and_a_default(tmp_path: Path) -> None:
    net = torch.jit.script(Loops())
    path, out = tmp_path / "m.pt", tmp_path / "model.onnx"
    net.save(path)
    loaded = to_onnx(path, out, LoadOptions(((1, 3, 8, 8), (1, 3, 8, 8))))
    assert [info.name for info in loaded.inputs] == ["x", "y"]
    assert not {"Loop", "If"} & {node.op_type for node in onnx.load(out).graph.node}
    x, y = torch.randn(2, 1, 3, 8, 8)
    with torch.no_grad():
        for ours, theirs in zip(outputs(out, x, y), net(x, y), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_saved_in_training_mode_is_evaluated(tmp_path: Path) -> None:
    net = torch.jit.script(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.9)).train())
    net.save(tmp_path / "m.pt")
    loaded = torchscript.load(tmp_path / "m.pt", 1)
    x = torch.randn(1, 3, 2, 2)
    torch.testing.assert_close(loaded(x), x / np.sqrt(1 + 1e-5))


class Writes(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 1e9:  # within a branch of a called function
            return write(x, self.path)
        return write(x, self.path)


@torch.jit.script
def write(x: torch.Tensor, path: str) -> torch.Tensor:
    torch.save(x, path)
    return x


class WritesAtLoad(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        torch.save(state[0], state[0])
        self.path, self.training = state

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_an_archive_that_writes_a_file_when_it_runs(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "m.pt"
    torch.jit.script(Writes(str(mark))).save(path)
    with pytest.raises(InputError, match="refused: it calls aten::save, which does more than"):
        to_onnx(path, tmp_path / "o", LoadOptions(SHAPE))
    assert not mark.exists()
    torch.jit.load(path)(torch.zeros(1))  # it is a real one
    assert mark.exists()


def test_an_archive_that_writes_a_file_when_it_is_loaded(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "m.pt"
    torch.jit.script(WritesAtLoad(str(mark))).save(path)
    with pytest.raises(InputError, match="__setstate__, which runs code when loaded"):
        to_onnx(path, tmp_path / "o", LoadOptions(SHAPE))
    assert not mark.exists()
    torch.jit.load(path)
    assert mark.exists()


def write_before(self: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    write(args[0], "ran")
    return args


def write_after(self: nn.Module, args: tuple[torch.Tensor], made: torch.Tensor) -> torch.Tensor:
    return write(made, "ran")


def test_hooks_that_write_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, after, mark = tiny().eval(), tiny().eval(), tmp_path / "ran"
    before.register_forward_pre_hook(write_before)
    after.register_forward_hook(write_after)
    for net in before, after:
        torch.jit.script(net).save("m.pt")
        with pytest.raises(InputError, match="refused: it calls aten::save"):
            to_onnx(Path("m.pt"), tmp_path / "o", LoadOptions(SHAPE))
        assert not mark.exists()
        torch.jit.load("m.pt")(torch.zeros(SHAPE[0]))  # it is a real one
        mark.unlink()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"cpuq\x06K\x07", b"cpuq\x06K\x70", "claims 448 bytes of data/0, which holds 28"),
        (
            b"c__torch__.",
            b"c__torch__.torch.classes.",
            "object of __torch__.torch.classes",
        ),
        (
            b"ctorch._utils\n_rebuild_tensor_v2",
            b"ctorch._utils\n_rebuild_sparse_tensor",
            "_rebuild_sparse_tensor",
        ),
        (b"ctorch._utils\n_rebuild_tensor_v2", b"cos\nsystem", "object of os.system"),
    ],
)
def test_pickles_that_claim_what_is_not_there(
    old: bytes, new: bytes, match: str, tmp_path: Path
) -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(7))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.w

    torch.jit.script(Adds()).save(tmp_path / "good.pt")
    torchscript.load(tmp_path / "good.pt", 1)
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(tmp_path / "good.pt") as archive, zipfile.ZipFile(path, "w") as hostile:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("/data.pkl"):
                assert old in data
                data = data.replace(old, new)
            hostile.writestr(name, data)
    with pytest.raises(InputError, match=match):
        torchscript.load(path, 1)


def test_an_archive_of_the_old_format(traced: Path, tmp_path: Path) -> None:
    """Its code may lie in files of any name."""
    path = tmp_path / "m.pt"
    path.write_bytes(traced.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/model.json", b"{}")
    with pytest.raises(InputError, match="very old PyTorch"):
        torchscript.load(path, 1)


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("/etc/hostname", False, 1)


class Forks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.jit.wait(torch.jit.fork(torch.relu, x))


class Scatters(nn.Module):
    """Writes far behind its three numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.tensor([[90_000]])
        return torch.ops.aten._sparse_coo_tensor_unsafe(places, torch.ones(1), [3]).to_dense()


@pytest.mark.parametrize(
    ("net", "operator"),
    [
        (Maps, "aten::from_file"),
        (Forks, "prim::fork"),
        (Scatters, "aten::_sparse_coo_tensor_unsafe"),
    ],
)
def test_other_operators_that_are_refused(
    net: type[nn.Module], operator: str, tmp_path: Path
) -> None:
    torch.jit.script(net()).save(tmp_path / "m.pt")
    with pytest.raises(InputError, match=f"it calls {operator}"):
        torchscript.load(tmp_path / "m.pt", 1)


def test_operators_of_a_library(tmp_path: Path) -> None:
    class Quantized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.quantized.add_scalar(x, 1.0)

    torch.jit.script(Quantized()).save(tmp_path / "m.pt")
    with pytest.raises(UnsupportedError, match="quantized::add_scalar"):
        torchscript.load(tmp_path / "m.pt", 1)


def test_arguments_that_are_no_tensors(tmp_path: Path) -> None:
    class Many(nn.Module):
        def forward(self, xs: list[torch.Tensor]) -> torch.Tensor:
            return xs[0]

    torch.jit.script(Many()).save(tmp_path / "m.pt")
    with pytest.raises(UnsupportedError, match=r"argument xs of forward is a List\[Tensor\]"):
        torchscript.load(tmp_path / "m.pt", 1)


def test_damaged_code(traced: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(traced) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"class (" if name.endswith("frontend_nets.py") else old.read(name))
    with pytest.raises(InputError, match="damaged TorchScript archive"):
        torchscript.load(path, 1)
