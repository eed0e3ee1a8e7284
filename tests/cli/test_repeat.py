"""The same model gives the same bytes, and none of them tells of the machine that made them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cli_nets import binary_net, contents, run, save, spawn

import r2b_edge
from r2b_edge.report import ExecutorCheck


def traces(files: dict[str, bytes], words: set[str]) -> Iterator[str]:
    """Where files hold one of the words, as text or in UTF-16."""
    for name, data in files.items():
        for word in words:
            if word.encode() in data or word.encode("utf-16-le") in data:
                yield f"{name}: {word}"


def words_of_this_machine(*folders: Path) -> set[str]:
    """Paths by which it could be told."""
    package = Path(r2b_edge.__file__).parent
    paths = {*folders, Path.home(), Path.cwd(), package, package.parent}
    return {str(path) for path in paths if path != Path("/")}


def test_the_same_bytes_anywhere(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    """Whatever the folders, the time and the order of hashes: also the report, for nothing was measured."""
    made = []
    for place, seed in (("one", "1"), ("other/place", "2")):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        model = shutil.copy(onnx_file, folder / "net.onnx")
        os.utime(model, (int(seed), int(seed)))
        done = spawn(
            "export", "net.onnx", "-t", "rpi4", "-o", "out",
            cwd=folder, env={"PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}", "TMPDIR": str(folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made.append(contents(folder / "out"))
    assert made[0].keys() == made[1].keys()
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []
    assert "model.onnx" in made[0]


def test_another_model_gives_other_bytes(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    """The comparison above can fail."""
    other = binary_net()
    weights = other.graph.initializer[0]
    weights.raw_data = weights.raw_data[:-4] + b"\0\0\0\0"
    outs = []
    for index, model in enumerate((onnx_file, save(other, tmp_path / "tiny.onnx"))):
        outs.append(tmp_path / str(index))
        assert run("export", model, "-t", "rpi4", "-o", outs[-1]).exit_code == 0
    one, two = map(contents, outs)
    changed = {name for name in one if one[name] != two[name]}
    assert {"model.onnx", "model.tflite", "c/model/tiny_weights.c", "report.json"} <= changed


def test_what_is_produced_tells_nothing_of_the_machine(
    onnx_file: Path, exported: Path, tmp_path: Path
) -> None:
    assert run("check", exported).exit_code == 0
    files = contents(exported)
    words = words_of_this_machine(exported, tmp_path, onnx_file.parent)
    assert list(traces(files, words)) == []
    assert list(traces({"x": f"a {tmp_path}/b".encode()}, words)) != []  # the search works


def test_a_pytorch_module(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    """From save() to check() in Python; the archives of torch.export are full of source lines and their paths."""
    require_tool("cmake", "gcc")
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn = nn.BatchNorm2d(8)
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.latent = nn.Parameter(torch.randn(8, 8, 3, 3))
            self.fc = nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x / 255)
            bits = torch.where(self.bn(x) >= 0, 1.0, -1.0)
            weight = torch.where(self.latent >= 0, 0.1, -0.1)
            y = F.prelu(F.conv2d(bits, weight, padding=1), torch.tensor(0.25)) + x
            return self.fc(y.mean((2, 3)))

    torch.manual_seed(0)
    net, example, archive = Net().eval(), torch.rand(1, 3, 8, 8), tmp_path / "net.pt2"
    r2b_edge.save(net, example, archive)
    made = r2b_edge.export(net, example, target="host", out=tmp_path / "out")
    assert made.model.form == "nn.Module"
    assert [layer.part for layer in made.layers if layer.binary] == ["binary"]
    checked = r2b_edge.check(tmp_path / "out").check
    assert checked is not None
    assert isinstance(checked.executors.graph, ExecutorCheck)
    assert isinstance(checked.executors.c, ExecutorCheck)
    assert checked.executors.graph.exact
    assert checked.executors.c.exact

    words = words_of_this_machine(tmp_path, Path(__file__).parent, Path(torch.__file__).parent)
    words.add(Path(__file__).name)
    assert list(traces(contents(tmp_path / "out"), words)) == []
    assert list(traces({"net.pt2": archive.read_bytes()}, words)) == []
