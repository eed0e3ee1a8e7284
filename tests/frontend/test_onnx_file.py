"""A user's .onnx file: what is wrong with it is said in one line, and nothing outside is read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from frontend_onnx import conv_bn, model, weights
from onnx import TensorProto, helper

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import onnx_file, reference


def load(made: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return onnx_file.load(path, [])


def test_good_file(tmp_path: Path) -> None:
    assert [node.op_type for node in load(conv_bn(), tmp_path).graph.node] == [
        "Conv",
        "BatchNormalization",
    ]


@pytest.mark.parametrize("keep", [20, 200, -40])
def test_truncated(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(conv_bn().SerializeToString()[:keep])
    with pytest.raises(InputError, match="damaged or truncated"):
        onnx_file.load(path, [])


def test_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(conv_bn().SerializeToString().replace(b"conv", b"\xff\xfe\xfd\xfc"))
    with pytest.raises(InputError, match="a name that is no text"):
        onnx_file.load(path, [])


def test_no_node(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without any node"):
        load(model([]), tmp_path)


def test_cycle(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["b"], ["after"], "after"),
        helper.make_node("Add", ["x", "b"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "second"),
        helper.make_node("Relu", ["after"], ["y"], "last"),
    ]
    with pytest.raises(InputError, match=r"node '(first|second)' .* is part of a cycle"):
        load(model(nodes), tmp_path)


def test_missing_initializer(tmp_path: Path) -> None:
    made = conv_bn()
    del made.graph.initializer[0]
    with pytest.raises(InputError, match=r"node 'conv' \(Conv\) reads 'w', which nothing"):
        load(made, tmp_path)


def test_output_that_nothing_produces(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing produces its output 'z'"):
        load(model([helper.make_node("Relu", ["x"], ["y"])], output="z"), tmp_path)


def test_nodes_out_of_order_are_sorted(tmp_path: Path) -> None:
    made = conv_bn()
    swapped = [made.graph.node[1], made.graph.node[0]]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in swapped]
    del made.graph.node[:]
    made.graph.node.extend(copies)
    assert [node.name for node in load(made, tmp_path).graph.node] == ["conv", "bn"]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("Relu", ["x"], ["y"], "n", alpha=1.0), "not a valid onnx model"),
        (helper.make_node("NoSuchOp", ["x"], ["y"], "n"), "not a valid onnx model"),
        (helper.make_node("Not", ["x"], ["y"], "n"), "not a valid onnx model"),
    ],
    ids=["attribute", "operator", "type"],
)
def test_invalid_nodes(tmp_path: Path, node: onnx.NodeProto, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(model([node]), tmp_path)


def test_foreign_operator_is_named(tmp_path: Path) -> None:
    node = helper.make_node("FusedConv", ["x"], ["y"], "fused", domain="com.microsoft")
    made = model([node], extra=[helper.make_opsetid("com.microsoft", 1)])
    with pytest.raises(UnsupportedError, match=r"node 'fused' \(FusedConv\).*com\.microsoft"):
        load(made, tmp_path)


def test_foreign_operator_in_an_inner_graph(tmp_path: Path) -> None:
    inner = helper.make_node("Evil", ["x"], ["i"], "inner", domain="custom")
    branch = helper.make_graph(
        [inner], "b", [], [helper.make_tensor_value_info("i", TensorProto.FLOAT, None)]
    )
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["flag"], ["y"], "if", then_branch=branch, else_branch=branch)
    made = model([node], initializers=[flag], extra=[helper.make_opsetid("custom", 1)])
    with pytest.raises(UnsupportedError, match="'inner'"):
        load(made, tmp_path)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    node = helper.make_node("Twice", ["x"], ["y"], domain="mine")
    made = model([node], functions=[function], extra=[helper.make_opsetid("mine", 1)])
    loaded = load(made, tmp_path)
    assert [node.op_type for node in loaded.graph.node] == ["Add"]
    assert not loaded.functions

    function.node[0].name = "inner"
    made = model([node], functions=[function], extra=[helper.make_opsetid("mine", 1)])
    path = tmp_path / "bytes.onnx"
    path.write_bytes(made.SerializeToString().replace(b"inner", b"\xff\xfe\xfd\xfc\xfb"))
    with pytest.raises(InputError, match="a name that is no text"):
        onnx_file.load(path, [])


def test_kernel_that_does_not_fit_is_found_by_the_run() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], "n")
    made = model([node], initializers=weights(w=np.zeros((4, 5, 3, 3))))
    with pytest.raises(InputError, match="onnxruntime cannot"):
        reference.run(made, reference.random_inputs(made))


class TestExternalData:
    """Weights in a file of their own."""

    def external(self, location: str, offset: int = 0, length: int = 432) -> onnx.ModelProto:
        made = conv_bn()
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
        return made

    def test_is_read_from_the_same_folder(self, tmp_path: Path) -> None:
        data = conv_bn().graph.initializer[0].raw_data
        (tmp_path / "w.bin").write_bytes(b"0123" + data)
        loaded = load(self.external("w.bin", offset=4), tmp_path)
        assert loaded.graph.initializer[0].raw_data == data
        assert loaded.graph.initializer[0].data_location == TensorProto.DEFAULT

    @pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", ""])
    def test_is_refused_outside(self, tmp_path: Path, location: str) -> None:
        folder = tmp_path / "models"
        folder.mkdir()
        (tmp_path / "w.bin").write_bytes(bytes(432))
        with pytest.raises(InputError, match="outside of the model's folder"):
            load(self.external(location, length=16), folder)

    @pytest.mark.parametrize("location", ["w\0.bin", "w" * 5000])
    def test_names_that_no_file_has(self, tmp_path: Path, location: str) -> None:
        with pytest.raises(InputError, match=r"tensor w: .*(null byte|too long)"):
            load(self.external(location), tmp_path)

    def test_is_refused_through_a_link(self, tmp_path: Path) -> None:
        folder = tmp_path / "models"
        folder.mkdir()
        (tmp_path / "w.bin").write_bytes(bytes(432))
        os.symlink(tmp_path / "w.bin", folder / "w.bin")
        with pytest.raises(InputError, match="outside of the model's folder"):
            load(self.external("w.bin"), folder)

    def test_missing_or_too_short(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"'w\.bin' of tensor w is missing"):
            load(self.external("w.bin"), tmp_path)
        (tmp_path / "w.bin").write_bytes(bytes(100))
        with pytest.raises(InputError, match="is truncated"):
            load(self.external("w.bin"), tmp_path)


class TestShapes:
    """An input without any shape gets the user's."""

    def without(self) -> onnx.ModelProto:
        made = conv_bn()
        made.graph.input[0].type.tensor_type.ClearField("shape")
        return made

    def test_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"shape of input 'x'; .*--input-shape 1,3,32,32"):
            load(self.without(), tmp_path)

    def test_is_taken(self, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(self.without().SerializeToString())
        shape = onnx_file.load(path, [], [[1, 3, 8, 8]]).graph.output[0].type.tensor_type.shape
        assert [size.dim_value for size in shape.dim] == [1, 4, 6, 6]
        with pytest.raises(InputError, match="does not say the shape"):
            onnx_file.load(path, [], [[1, 3, 8, 8], [1]])


def test_an_output_of_open_rank(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Squeeze", ["places"], ["squeezed"]),
        helper.make_node("Cast", ["squeezed"], ["y"], to=TensorProto.FLOAT),
    ]
    with pytest.raises(UnsupportedError, match="size of output 'y' depends on the input's values"):
        load(model(nodes), tmp_path)


@pytest.mark.parametrize("offset", [-4, 1 << 62])
def test_external_data_out_of_its_file(offset: int, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(1000))
    with pytest.raises(InputError, match="tensor w"):
        load(TestExternalData().external("w.bin", offset=offset), tmp_path)
