"""`inspect` explains and writes nothing; `export` warns of what was probably meant to be binary, or refuses it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli_nets import Names, binary_net, fault, run, save, spawn
from onnx import numpy_helper

from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.findings import LayerFinding
from r2b_edge.passes.required import require_binary

STAGES = ["exporting to ONNX", "finding the binary layers", "counting zeros before signs"]


def with_weights(model: onnx.ModelProto, name: str, change: str) -> onnx.ModelProto:
    """The model with real or ternary weights where `name` begins."""
    (tensor,) = [t for t in model.graph.initializer if t.name.startswith(name)]
    weight = numpy_helper.to_array(tensor).copy()
    random = np.random.default_rng(2)
    if change == "real":
        weight = random.normal(size=weight.shape).astype(np.float32)
    else:
        weight[random.random(weight.shape) < 0.4] = 0
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    return model


@pytest.fixture
def suspect(tmp_path: Path) -> Path:
    """The tiny network with a second binary conv, whose weights are real."""
    model = two_convs()
    return save(with_weights(model, "second.weight", "real"), tmp_path / "suspect.onnx")


def two_convs() -> onnx.ModelProto:
    """The tiny network with a second binary conv on the same bits, named `second`, as another output."""
    model = binary_net()
    (conv,) = [n for n in model.graph.node if n.op_type == "Conv" and "where" in n.input[0]]
    (weight,) = [t for t in model.graph.initializer if t.name == conv.input[1]]
    copy = numpy_helper.from_array(numpy_helper.to_array(weight), "second.weight")
    model.graph.initializer.append(copy)
    model.graph.node.append(
        onnx.helper.make_node(
            "Conv", [conv.input[0], "second.weight"], ["second_out"], "second", pads=[1, 1, 1, 1]
        )
    )
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("second_out", onnx.TensorProto.FLOAT, (1, 8, 8, 8))
    )
    return model


def test_it_prints_one_json_document_and_writes_nothing(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    result = run("inspect", onnx_file, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert [layer["verdict"] for layer in document["layers"]] == ["float", "binary", "float"]
    assert document["samples"] == {"count": 8, "seeded": True}
    assert document["target"] is None
    assert result.stderr.splitlines() == STAGES
    assert list(here.iterdir()) == list(temporary.iterdir()) == []
    assert run("inspect", onnx_file, "--json").stdout == result.stdout


def test_it_prints_a_table(onnx_file: Path) -> None:
    result = run("inspect", onnx_file)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"conv_\d+ +binary +8→8 +3×3 +1 \(0\) +36.9 k +288 B", result.stdout)
    assert "1 of 3 layers binary" in result.stdout
    assert "An export is possible" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_it_names_the_kernels_of_a_target(onnx_file: Path) -> None:
    from r2b_edge import targets
    from r2b_edge.exporters.c.kernels import REGISTRY

    document = json.loads(run("inspect", onnx_file, "--target", "rpi4", "--json").stdout)
    assert document["target"] == "rpi4"
    family = targets.load("rpi4").families[0]
    used = {
        k.family
        for k in REGISTRY
        if k.name in [layer["becomes"]["c"] for layer in document["layers"]]
    }
    assert family in used
    wrong = run("inspect", onnx_file, "--target", "rpi44")
    assert wrong.exit_code == 2
    assert "did you mean rpi4" in fault(wrong)


def test_it_agrees_with_the_export(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    document = json.loads(run("inspect", onnx_file, "--target", "rpi4", "--json").stdout)
    exported = run("export", onnx_file, "-t", "rpi4", "-o", tmp_path / "out", "--json")
    report = json.loads(exported.stdout)
    assert document["totals"]["c_bytes"] == report["memory"]["weight_bytes"]
    assert document["totals"]["tflite_bytes"] == report["memory"]["tflite_bytes"]
    assert document["totals"]["binary_macs"] == report["model"]["binary_macs"]
    assert document["totals"]["binary_weights"] == report["model"]["binary_weights"]
    assert document["model"]["sha256"] == report["model"]["sha256"]


def test_a_network_that_export_refuses_is_explained(tmp_path: Path) -> None:
    path = save(binary_net(binary=False), tmp_path / "float.onnx")
    result = run("inspect", path)
    assert result.exit_code == 0, result.stderr
    assert "0 of 3 layers binary" in result.stdout
    assert "its input is real" in result.stdout
    assert "An export would be refused: no layer is binary" in result.stdout


def test_an_unsupported_op_is_explained(tmp_path: Path) -> None:
    model = binary_net()
    (pool,) = [node for node in model.graph.node if node.op_type == "GlobalAveragePool"]
    det = onnx.helper.make_node("Det", [pool.input[0]], ["det_out"], "det")
    model.graph.node.append(det)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("det_out", onnx.TensorProto.FLOAT, (1, 8))
    )
    path = save(model, tmp_path / "net.onnx")
    result = run("inspect", path)
    assert result.exit_code == 0, result.stderr
    assert "Det det: this op is not supported" in result.stdout
    assert "1 of 3 layers binary" in result.stdout
    assert run("export", path, "-t", "host", "-o", tmp_path / "out").exit_code == 3


@pytest.mark.parametrize(
    ("content", "code"), [(b"hello", 2), (b"", 2), (None, 2)], ids=["text", "empty", "missing"]
)
def test_what_cannot_be_read_is_an_error(content: bytes | None, code: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    result = run("inspect", path, "--json")
    assert result.exit_code == code
    assert result.stdout == ""


def test_samples_that_do_not_fit(onnx_file: Path, tmp_path: Path) -> None:
    samples = tmp_path / "x.npy"
    np.save(samples, np.zeros((2, 3, 9, 9), np.float32))
    result = run("inspect", onnx_file, "--samples", samples)
    assert result.exit_code == 2
    assert "samples have shape [2, 3, 9, 9]" in result.stderr
    np.save(samples, np.zeros((2, 3, 8, 8), np.uint8))
    document = json.loads(run("inspect", onnx_file, "--samples", samples, "--json").stdout)
    assert document["samples"] == {"count": 2, "seeded": False}


def test_an_awkward_name(tmp_path: Path) -> None:
    model = binary_net(Names("\x1b[31m\u202e [red]x[/red] \n"))
    result = run("inspect", save(model, tmp_path / "net.onnx"))
    assert result.exit_code == 0, result.stderr
    assert all(c.isprintable() or c == "\n" for c in result.stdout + result.stderr)
    assert "[red]x[/red]" in result.stdout


def test_an_export_warns(suspect: Path, tmp_path: Path, no_tools: Path) -> None:
    result = run("export", suspect, "-t", "host", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    (warning,) = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: second stays float: ")
    assert "real" in warning
    report = json.loads(result.stdout)
    assert [layer["name"] for layer in report["layers"] if layer["suspect"]] == ["second"]
    assert any(note.startswith("second stays float: ") for note in report["notes"])


def test_a_sound_network_causes_no_warning(onnx_file: Path, tmp_path: Path, no_tools: Path) -> None:
    result = run("export", onnx_file, "-t", "host", "-o", tmp_path / "out", "--json")
    assert "warning" not in result.stderr
    assert not any(layer["suspect"] for layer in json.loads(result.stdout)["layers"])


@pytest.mark.parametrize("wanted", ["2", "s*d", "*"])
def test_too_little_is_binary(wanted: str, suspect: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("export", suspect, "-t", "host", "-o", out, "--require-binary", wanted)
    assert result.exit_code == 3, result.stderr
    assert result.stdout == ""
    assert not out.exists()
    said = fault(result)
    assert "--require-binary" in said
    assert "'second' (" in said
    assert "real" in said


@pytest.mark.parametrize("wanted", ["0", "1", "the name of the binary layer"])
def test_enough_is_binary(wanted: str, suspect: Path, tmp_path: Path, no_tools: Path) -> None:
    shown = json.loads(run("inspect", suspect, "--json").stdout)
    (binary,) = [layer["name"] for layer in shown["layers"] if layer["verdict"] == "binary"]
    wanted = wanted if wanted.isdecimal() else binary
    arguments = ["-t", "host", "-o", tmp_path / "out", "--require-binary", wanted]
    result = run("export", suspect, *arguments)
    assert result.exit_code == 0, result.stderr


def test_more_than_there_is() -> None:
    finding = LayerFinding("a", "BinaryConv", True, "", "y")
    with pytest.raises(UnsupportedError, match=r"5: 1 of 1 layers are binary; `r2b-edge inspect`"):
        require_binary([finding], 5)


def test_a_pattern_that_matches_nothing(onnx_file: Path, tmp_path: Path) -> None:
    arguments = ["-t", "host", "-o", tmp_path / "out", "--require-binary", "layer*"]
    result = run("export", onnx_file, *arguments)
    assert result.exit_code == 2
    assert "'layer*' matches no layer; the layers are called 'conv" in fault(result)


def test_weights_are_binarised_when_asked(suspect: Path, tmp_path: Path, no_tools: Path) -> None:
    arguments = [
        "-t",
        "host",
        "-o",
        tmp_path / "out",
        "--binarize-weights",
        "--require-binary",
        "2",
    ]
    result = run("export", suspect, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    layers = {layer["name"]: layer["binary"] for layer in report["layers"]}
    assert layers["second"]
    (note,) = report["notes"][:1]
    assert note.startswith("second: its weights were replaced by ")
    shown = json.loads(run("inspect", suspect, "--binarize-weights", "--json").stdout)
    assert {layer["name"]: layer["verdict"] for layer in shown["layers"]}["second"] == "binary"
    assert shown["notes"][0] == note


def test_there_is_nothing_to_binarise(onnx_file: Path) -> None:
    shown = json.loads(run("inspect", onnx_file, "--binarize-weights", "--json").stdout)
    assert shown["notes"] == [
        "--binarize-weights changed nothing: no layer has a binary input and real weights"
    ]


def test_in_python(tmp_path: Path) -> None:
    import torch

    import r2b_edge

    module = torch.nn.Conv2d(3, 4, 3)
    found = r2b_edge.inspect(module, torch.rand(1, 3, 8, 8))
    assert (found.model.form, found.model.file) == ("nn.Module", "Conv2d")
    assert [layer.verdict for layer in found.layers] == ["float"]
    with pytest.raises(
        r2b_edge.errors.InputError, match=r"is a file or an nn\.Module, not OrderedDict"
    ):
        r2b_edge.inspect(module.state_dict())


def test_help_is_quick_and_names_the_options() -> None:
    done = spawn("inspect", "--help")
    assert done.returncode == 0
    for option in (
        "--samples",
        "--target",
        "--json",
        "--input-shape",
        "--allow-pickle",
        "--source-dir",
    ):
        assert option in done.stdout
