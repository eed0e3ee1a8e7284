"""What from_onnx cannot read is refused in one line that names the node; nothing else escapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_onnx import Net, floats

from r2b_edge.errors import InputError, R2BError, UnsupportedError
from r2b_edge.graph.from_onnx import from_onnx

RANDOM = np.random.default_rng(2)
SPATIAL = np.array([2, 3])
Build = Callable[[Net], str]


def f(*shape: int) -> np.ndarray:
    return floats(RANDOM, *shape)


def _second_output(net: Net) -> str:
    net.op("Dropout", "x", outputs=["y", "mask"])
    return net.op("Where", "mask", "y", 0.0)


def _pool_indices(net: Net) -> str:
    return net.op("MaxPool", "x", kernel_shape=[2, 2], outputs=["y", "indices"])


def _training(net: Net) -> str:
    outputs = ["y", "mean", "variance"]
    net.batch_norm("x", *np.ones((4, 4)), training_mode=1, outputs=outputs, name="bad")
    return "y"


BAD_NODES: dict[str, tuple[Build, str]] = {
    "unknown op": (lambda n: n.op("Mod", "x", 2.0, fmod=1, name="bad"), "not supported"),
    "bound over space": (
        lambda n: n.op("Where", n.op("Less", "x", f(6), name="bad"), "x", 0.0),
        "varies along axis 3",
    ),
    "larger batch": (
        lambda n: n.op("Add", "x", np.ones((2, 4, 1, 1), np.float32), name="bad"),
        "neither a map nor a vector",
    ),
    "higher rank": (
        lambda n: n.op("Add", "x", np.ones((1, 1, 4, 1, 1), np.float32), name="bad"),
        "neither a map nor a vector",
    ),
    "two of a batch": (
        lambda n: n.op("Add", "x", f(2, 1, 4, 1, 1), name="bad"),
        "neither a map nor a vector",
    ),
    "gate of rank 2": (
        lambda n: n.op("Mul", "x", n.op("ReduceMean", "x", np.array([1, 2]), keepdims=0)),
        "ReduceMean.*axes",
    ),
    "dynamic weights": (lambda n: n.op("Conv", "x", "x", name="bad"), "must be a constant"),
    "dynamic slope": (lambda n: n.op("PRelu", "x", "x", name="bad"), "must be a constant"),
    "slope over space": (
        lambda n: n.op("PRelu", "x", f(4, 6, 1), name="bad"),
        "varies along axis 2",
    ),
    "nan weight": (
        lambda n: n.op("Conv", "x", np.full((2, 4, 1, 1), np.nan, np.float32), name="bad"),
        "not finite",
    ),
    "infinite scale": (lambda n: n.op("Mul", "x", np.inf, name="bad"), "not finite"),
    "negative variance": (
        lambda n: n.batch_norm("x", *np.ones((3, 4)), -np.ones(4), name="bad"),
        "not finite",
    ),
    "batch norm in training mode": (_training, "training mode"),
    "dropout in training mode": (
        lambda n: n.op("Dropout", "x", 0.5, np.array(True), name="bad"),
        "training mode",
    ),
    "second output": (_second_output, "'mask' is a constant or a second output"),
    "pool indices": (_pool_indices, "indices"),
    "kernel too large": (lambda n: n.op("Conv", "x", f(2, 4, 7, 7), name="bad"), "does not fit"),
    "groups that do not divide": (
        lambda n: n.op("Conv", "x", f(3, 2, 3, 3), group=2, name="bad"),
        "groups 2",
    ),
    "no output channel": (
        lambda n: n.op("Conv", "x", np.zeros((0, 4, 3, 3), np.float32), name="bad"),
        "weights",
    ),
    "matrix times map": (lambda n: n.op("MatMul", "x", f(6, 3), name="bad"), "weights"),
    "batched matrices": (
        lambda n: n.op("MatMul", n.op("Flatten", "x"), f(2, 144, 3), name="bad"),
        "rank 3",
    ),
    "vector times vector": (
        lambda n: n.op("MatMul", n.op("Flatten", "x"), f(144), name="bad"),
        "rank 1",
    ),
    "dense with a transposed input": (
        lambda n: n.op("Gemm", n.op("ReduceMean", "x", SPATIAL, keepdims=0), f(1, 3), transA=1),
        "transA",
    ),
    "mean over all": (lambda n: n.op("ReduceMean", "x", name="bad"), "axes"),
    "mean of a constant": (
        lambda n: n.op("Add", "x", n.op("ReduceMean", f(1, 4, 3, 3), SPATIAL, name="bad")),
        "is a constant",
    ),
    "reshape of the batch": (
        lambda n: n.op("Relu", n.op("Reshape", "x", np.array([4, 36])), name="bad"),
        r"Reshape_0' gives what the graph cannot hold: a tensor of shape \[4, 36\]",
    ),
    "maximum of three": (lambda n: n.op("Max", "x", 1.0, "x", name="bad"), "3 inputs"),
    "maximum of one": (lambda n: n.op("Max", "x", name="bad"), "1 inputs"),
    "constants only": (lambda n: n.op("Add", f(3), f(3), name="bad"), "not folded"),
    "limit of no element": (
        lambda n: n.op("Clip", "x", np.zeros(0, np.float32), name="bad"),
        "0 elements",
    ),
    "cast to another type": (
        lambda n: n.op("Cast", n.op("Cast", "x", to=TensorProto.UINT8, name="bad"), to=1),
        "of real numbers to integers of fewer than 32 bits",
    ),
    "string constant": (
        lambda n: n.op("Relu", n.op("Constant", value_string="no", name="bad")),
        "value_string|readable",
    ),
}


@pytest.mark.parametrize("case", BAD_NODES)
def test_the_message_names_the_node_and_the_reason(case: str, tmp_path: Path) -> None:
    build, says = BAD_NODES[case]
    net = Net()
    output = build(net)
    with pytest.raises(R2BError, match=says) as caught:
        net.graph(tmp_path, output)
    if any(node.name == "bad" for node in net.nodes) and isinstance(caught.value, UnsupportedError):
        assert "'bad' on " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gate_whose_axes_do_not_meet_the_channels(tmp_path: Path) -> None:
    """[1, C, H, W] * [1, C] broadcasts along W in ONNX: with C = W it would be taken for a gate."""
    net = Net((1, 6, 6, 6))
    net.op("Mul", "x", net.op("ReduceMean", "x", SPATIAL, keepdims=0), name="bad")
    with pytest.raises(UnsupportedError, match=r"Mul 'bad' on .*different ranks"):
        net.graph(tmp_path)


@pytest.mark.parametrize(
    ("shape", "build"),
    [
        ((1, 4, 1, 1), lambda n: n.op("Add", "x", np.ones((1, 4, 5, 5), np.float32))),
        ((1, 1, 4, 4), lambda n: n.op("MatMul", n.op("GlobalAveragePool", "x"), f(1, 3))),
        ((1, 4, 4, 4), lambda n: n.op("Mul", n.op("GlobalAveragePool", "x"), np.ones(4, np.float32))),
    ],
)  # fmt: skip
def test_broadcasts_that_change_the_shape(
    shape: tuple[int, ...], build: Build, tmp_path: Path
) -> None:
    net = Net(shape)
    build(net)
    with pytest.raises(
        UnsupportedError, match=r"neither a map nor a vector|makes .* as large as|makes .* larger"
    ):
        net.graph(tmp_path)


@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 6, 6, 6), (2, 4, 6, 6), (1, 4, 0, 6)])
def test_input_shapes(shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Net(shape)
    net.op("Relu", "x")
    with pytest.raises(UnsupportedError, match="input 'x' has shape"):
        net.graph(tmp_path)


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.DOUBLE, TensorProto.UINT8])
def test_input_types(dtype: int, tmp_path: Path) -> None:
    net = Net(dtype=dtype)
    net.op("Cast", "x", to=TensorProto.FLOAT)
    with pytest.raises(UnsupportedError, match="input 'x' is not float32"):
        net.graph(tmp_path)


def test_output_that_is_a_constant(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", "x")
    with pytest.raises(UnsupportedError, match="output 'y' does not depend on the input"):
        net.graph(tmp_path, net.op("Constant", value_floats=[1.0, 2.0], outputs=["y"]))


def test_tensor_that_could_collide_with_a_derived_one(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", net.op("Relu", "x", outputs=["y~bits"]))
    with pytest.raises(UnsupportedError, match="a tensor is called 'y~bits'"):
        net.graph(tmp_path)


def test_all_unknown_ops_are_named_at_once(tmp_path: Path) -> None:
    net = Net((1, 4, 6, 6))
    y = net.op("Mod", net.op("Mod", "x", 2.0, fmod=1, name="m"), 3.0, fmod=1)
    net.op("Hardmax", net.op("Relu", net.op("Mish", y, name="n")), name="o")
    with pytest.raises(UnsupportedError) as caught:
        net.graph(tmp_path)
    assert str(caught.value) == (
        "these ops are not supported: 2 Mod (first 'm'), 1 Hardmax (first 'o'), 1 Mish (first 'n')"
    )


def test_operator_of_another_domain(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", "x", domain="com.example", name="bad")
    model = net.model()
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    model.graph.output[0].type.CopyFrom(net.inputs[0].type)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedError, match=r"Relu 'bad' on .*not supported"):
        from_onnx(tmp_path / "model.onnx", "net")


@pytest.mark.parametrize(
    ("opset", "build"),
    [
        (6, lambda n: n.op("Clip", "x", min=0.0, max=1.0)),
        (7, lambda n: n.op("Dropout", "x", ratio=0.5)),
        (10, lambda n: n.op("Pad", "x", pads=[0, 0, 1, 1, 0, 0, 1, 1])),
        (12, lambda n: n.op("Squeeze", n.op("GlobalAveragePool", "x"), axes=[2, 3])),
    ],
)
def test_opsets_whose_attributes_would_be_overlooked(
    opset: int, build: Build, tmp_path: Path
) -> None:
    net = Net(opset=opset)
    build(net)
    with pytest.raises(UnsupportedError, match=f"opset {opset}"):
        net.graph(tmp_path)


@pytest.mark.parametrize(
    "build",
    [
        lambda n: n.op("MaxPool", "x"),
        lambda n: n.conv("x", f(2, 4, 3)),
        lambda n: n.conv("x", f(2, 4, 3, 3), strides=[1]),
        lambda n: n.conv("x", f(2, 4, 3, 3), strides=[0, 1]),
        lambda n: n.op("MaxPool", n.op("Flatten", "x"), kernel_shape=[2, 2]),
        lambda n: n.op("Gemm", "x", f(4, 2)),
        lambda n: n.op("Relu", n.op("Greater", "x", 0.0)),
        lambda n: n.op("Relu", "nobody"),
        lambda n: n.op("Relu"),
        lambda n: n.op("If", "x"),
        lambda n: n.op("Relu", "x", outputs=["x"]),
    ],
)
def test_files_that_are_no_valid_onnx(build: Build, tmp_path: Path) -> None:
    net = Net()
    build(net)
    with pytest.raises(InputError, match=r"model\.onnx is not a readable ONNX model") as caught:
        net.graph(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00\xff not a protobuf", b"\x08"])
def test_files_that_are_no_onnx(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InputError, match="not a readable ONNX model"):
        from_onnx(tmp_path / "model.onnx", "net")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    net = Net()
    net.op("Relu", net.op("Relu", "x", outputs=["abcdef"]))
    path = net.save(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"abcdef", b"abc\xff\xfef"))
    with pytest.raises(InputError, match="not a readable ONNX model"):
        from_onnx(path, "net")


def test_truncated_file(tmp_path: Path) -> None:
    net = Net()
    net.conv("x", f(2, 4, 3, 3))
    whole = net.save(tmp_path / "model.onnx").read_bytes()
    for size in range(1, len(whole), 37):
        (tmp_path / "model.onnx").write_bytes(whole[:size])
        with pytest.raises(R2BError):
            from_onnx(tmp_path / "model.onnx", "net")
