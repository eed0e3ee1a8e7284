"""Preprocessing that becomes a part of model.onnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_onnx import Net, floats

from r2b_edge import targets
from r2b_edge.errors import InputError
from r2b_edge.frontend.reference import session
from r2b_edge.passes import scale_input
from r2b_edge.pipeline import Storage, graph_of, program_of

MEAN, STD = np.float64([0.485, 0.456, 0.406]), np.float64([0.229, 0.224, 0.225])
SCALE, OFFSET = 1 / (255 * STD), -MEAN / STD


def image_net(random: np.random.Generator) -> Net:
    """Two convolutions of the input; a tensor is called what an inserted one would be."""
    net = Net((1, 3, 6, 6))
    y = net.op("Conv", "x", floats(random, 4, 3, 3, 3), outputs=["input-scale"])
    net.op("Add", y, net.op("Conv", "x", floats(random, 4, 3, 3, 3)))
    return net


def test_bytes_become_what_the_network_was_trained_on(
    tmp_path: Path, random: np.random.Generator
) -> None:
    file = image_net(random).save(tmp_path / "net.onnx")
    pixels = random.integers(0, 256, (1, 3, 6, 6))
    column = (slice(None), None, None)
    normal = ((pixels / 255 - MEAN[column]) / STD[column]).astype(np.float32)
    (want,) = session(onnx.load(file)).run(None, {"x": normal})
    scale_input(file, SCALE.tolist(), OFFSET.tolist())
    (have,) = session(onnx.load(file)).run(None, {"x": pixels.astype(np.float32)})
    assert np.abs(have - want).max() <= 1e-5 * np.abs(want).max()
    assert graph_of(file, "net").inputs == ["x"]  # which checks the file


def test_a_convolution_reads_the_bytes_through_it(
    tmp_path: Path, random: np.random.Generator
) -> None:
    net = Net((1, 3, 6, 6))
    net.conv("x", floats(random, 4, 3, 3, 3), pads=[1] * 4)
    file = net.save(tmp_path / "net.onnx")
    scale_input(file, [0.5], [1.0, 2.0, 3.0])
    graph = graph_of(file, "net", Storage(input_dtype="uint8"))
    program = program_of(graph, targets.load("host"), "net", "0" * 64)
    assert [step.kernel for step in program.steps] == ["fconv_bytes_portable"]
    by_size = [c.array.tolist() for c in program.constants if c.array.size == 3]
    assert by_size == [[0.5, 0.5, 0.5], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 9)])
def test_vectors_and_signals(
    shape: tuple[int, ...], tmp_path: Path, random: np.random.Generator
) -> None:
    net = Net(shape)
    net.op("Relu", "x")
    file = net.save(tmp_path / "net.onnx")
    scale_input(file, [2.0, 3.0, 4.0], [-1.0])
    (have,) = session(onnx.load(file)).run(None, {"x": np.ones(shape, np.float32)})
    assert have.reshape(3, -1)[:, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        ([1.0, 2.0], [0.0], "--input-scale has 2 numbers, and the input 3 channels"),
        ([1.0], [0.0] * 4, "--input-offset has 4 numbers"),
        ([0.0], [0.0], "--input-scale is 0"),
        ([1.0, 0.0, 1.0], [0.0], "--input-scale is 0"),
        ([1e-50], [0.0], "--input-scale is 0"),
        ([float("nan")], [0.0], "--input-scale is not finite"),
        ([1.0], [1e39], "--input-offset is not finite in float32"),
    ],
)
def test_numbers_that_make_no_sense(
    scale: list[float], offset: list[float], message: str, tmp_path: Path
) -> None:
    file = image_net(np.random.default_rng(0)).save(tmp_path / "net.onnx")
    before = file.read_bytes()
    with pytest.raises(InputError, match=message):
        scale_input(file, scale, offset)
    assert file.read_bytes() == before


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    net = Net((1, 3, 6, 6))
    net.inputs.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, (1, 3, 6, 6)))
    net.op("Add", "x", "z")
    file = net.save(tmp_path / "net.onnx")
    with pytest.raises(InputError, match="has 2 inputs, and --input-scale is for one"):
        scale_input(file, [1.0], [0.0])
