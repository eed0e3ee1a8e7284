"""model.onnx: static, one sample, folded, anonymous, and the same function as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontend_onnx import conv_bn, model, weights
from onnx import TensorProto, helper, numpy_helper

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import reference
from r2b_edge.frontend.normalise import normalise
from r2b_edge.frontend.sizes import dims
from r2b_edge.pipeline import graph_of


def ops(made: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in made.graph.node]


def run(made: onnx.ModelProto, x: Any) -> Any:
    return reference.run(made, {"x": x.astype(np.float32)})[0]


def random(*shape: int) -> Any:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_nothing_is_fused_and_nothing_is_told() -> None:
    notes: list[str] = []
    done = normalise(conv_bn(), None, notes)
    assert ops(done) == ["Conv", "BatchNormalization"]
    assert [value.name for value in done.graph.output] == ["y"]
    assert dims(done.graph.output[0]) == (1, 4, 6, 6)
    assert b"somebody" not in done.SerializeToString()
    assert notes == []
    np.testing.assert_array_equal(run(done, random(1, 3, 8, 8)), run(conv_bn(), random(1, 3, 8, 8)))


def test_same_input_same_bytes() -> None:
    one, other = (normalise(conv_bn(), None, []).SerializeToString() for _ in range(2))
    assert one == other


def binary_weights(channels: int) -> onnx.ModelProto:
    """alpha * sign(w) as a subgraph, with an Identity, an eval-mode Dropout and a dead branch."""
    w = np.random.default_rng(0).standard_normal((channels, 3, 3, 3))
    half = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    nodes = [
        helper.make_node("Abs", ["w"], ["abs"]),
        helper.make_node("Constant", [], ["axes"], value_ints=[1, 2, 3]),
        helper.make_node("ReduceMean", ["abs", "axes"], ["alpha"], keepdims=1),
        helper.make_node("GreaterOrEqual", ["w", "zero"], ["ge"]),
        helper.make_node("Neg", ["alpha"], ["minus"]),
        helper.make_node("Where", ["ge", "alpha", "minus"], ["bits"]),
        helper.make_node("Identity", ["x"], ["x1"]),
        helper.make_node("Conv", ["x1", "bits", "b0"], ["c"], "conv"),
        helper.make_node("Relu", ["c"], ["dead"]),
        helper.make_node("Dropout", ["c"], ["d"]),
        helper.make_node("Add", ["d", "b1"], ["y"]),
    ]
    values = [half, *weights(w=w, b0=np.zeros(channels), b1=np.ones((channels, 1, 1)))]
    return model(nodes, initializers=values)


@pytest.mark.parametrize("channels", [4, 2000])  # 216,000 bytes: beyond onnxscript's default limit
def test_weights_become_initializers(channels: int) -> None:
    before = binary_weights(channels)
    done = normalise(before, None, [])
    assert ops(done) == ["Conv", "Add"]
    assert len(done.graph.node[0].input) == 2  # the zero bias is none
    bits = {tensor.name: tensor for tensor in done.graph.initializer}[done.graph.node[0].input[1]]
    array = numpy_helper.to_array(bits).reshape(channels, -1)
    assert all(len(set(np.abs(row))) == 1 for row in array)
    assert {tensor.name for tensor in done.graph.initializer} == {bits.name, "b1"}
    x = random(1, 3, 8, 8)
    np.testing.assert_allclose(run(done, x), run(before, x), rtol=1e-5, atol=1e-5)


def test_bias_that_is_not_zero_stays() -> None:
    made = conv_bn()
    made.graph.initializer.extend(weights(b=[0, 0, 0, 1e-30]))
    made.graph.node[0].input.append("b")
    assert len(normalise(made, None, []).graph.node[0].input) == 3


def test_weights_among_the_inputs_are_weights() -> None:
    made = conv_bn()
    made.ir_version = 3
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 3, 3)))
    done = normalise(made, None, [])
    assert [value.name for value in done.graph.input] == ["x"]
    onnx.checker.check_model(done, full_check=True)


def flat(shape: tuple[int | str, ...], reshape: list[int], opset: int = 18) -> onnx.ModelProto:
    """Reshape to a matrix, then a dense layer."""
    target = numpy_helper.from_array(np.asarray(reshape, np.int64), "shape")
    w = np.random.default_rng(2).standard_normal((12, 5))
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    return model(nodes, initializers=[target, *weights(w=w)], shape=shape, opset=opset)


class TestBatch:
    """The batch axis becomes 1, whatever it was, and the function of one sample stays."""

    def test_open_axis(self) -> None:
        notes: list[str] = []
        done = normalise(flat(("N", 3, 2, 2), [-1, 12]), None, notes)
        assert dims(done.graph.input[0]) == (1, 3, 2, 2)
        assert dims(done.graph.output[0]) == (1, 5)
        assert notes == ["the batch axis of input 'x' was fixed to 1"]

    def test_sizes_computed_from_the_shape_are_folded(self) -> None:
        nodes = [
            helper.make_node("Shape", ["x"], ["s"], end=1),
            helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
            helper.make_node("Concat", ["s", "rest"], ["shape"], axis=0),
            helper.make_node("Reshape", ["x", "shape"], ["y"]),
        ]
        done = normalise(model(nodes, shape=("N", 3, 2, 2)), None, [])
        assert ops(done) == ["Reshape"]
        assert dims(done.graph.output[0]) == (1, 12)

    @pytest.mark.parametrize("reshape", [[-1, 12], [4, 12], [4, -1]])
    def test_fixed_axis(self, reshape: list[int]) -> None:
        before, notes = flat((4, 3, 2, 2), reshape), list[str]()
        done = normalise(before, None, notes)
        x = random(4, 3, 2, 2)
        assert dims(done.graph.output[0]) == (1, 5)
        np.testing.assert_allclose(run(done, x[2:3])[0], run(before, x)[2], rtol=1e-4, atol=1e-5)
        assert notes == ["the batch axis of 4 was fixed to 1"]

    def test_samples_that_are_mixed(self) -> None:
        axes = numpy_helper.from_array(np.asarray([0], np.int64), "axes")
        nodes = [
            helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=1),
            helper.make_node("Sub", ["x", "m"], ["y"]),
        ]
        with pytest.raises(UnsupportedError, match=r"batches of 4.*batch 1"):
            normalise(model(nodes, initializers=[axes], shape=(4, 3)), None, [])


class TestInputShape:
    """--input-shape fills open sizes and contradicts none that is fixed."""

    def test_open_sizes_must_be_given(self) -> None:
        made = conv_bn(shape=("N", 3, "H", "W"))
        with pytest.raises(InputError, match=r"\?x3x\?x\?, with open sizes; .*--input-shape 1,3,"):
            normalise(made, None, [])
        done = normalise(conv_bn(shape=("N", 3, "H", "W")), ((1, 3, 10, 12),), [])
        assert dims(done.graph.output[0]) == (1, 4, 8, 10)

    @pytest.mark.parametrize("shape", [(1, 3, 9, 9), (2, 3, 8, 8), (3, 8, 8), (1, 3, 8, 8, 1)])
    def test_contradiction(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"'x' is 1x3x8x8, and .* does not fit it"):
            normalise(conv_bn(), (shape,), [])

    def test_an_input_that_no_memory_holds(self) -> None:
        with pytest.raises(InputError, match="'x' of 1x3x1099511627776x1099511627776 is larger"):
            normalise(conv_bn(shape=(1, 3, 1 << 40, 1 << 40)), None, [])

    def test_number_of_inputs(self) -> None:
        with pytest.raises(InputError, match="names 2 inputs, the model has 1"):
            normalise(conv_bn(), ((1, 3, 8, 8), (1, 3)), [])

    def test_sizes_that_the_network_cannot_take(self) -> None:
        with pytest.raises(InputError, match="shapes do not fit together"):
            normalise(flat(("N", 3, "H", 2), [1, -1]), ((1, 3, 5, 2),), [])

    def test_sizes_that_only_a_run_finds_wrong(self) -> None:
        done = normalise(flat(("N", 3, "H", 2), [1, 12]), ((1, 3, 5, 2),), [])
        with pytest.raises(InputError, match="onnxruntime cannot run the model"):
            reference.run(done, reference.random_inputs(done))


def test_output_size_that_depends_on_values() -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
    ]
    with pytest.raises(UnsupportedError, match="output 'y' depends on"):
        normalise(model(nodes), None, [])


def test_old_opset_is_upgraded() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("ReduceMean", ["c"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m"], ["y"], axes=[2]),
    ]
    w = weights(w=np.random.default_rng(0).standard_normal((4, 3, 3, 3)))
    before, notes = model(nodes, initializers=w, opset=11), list[str]()
    done = normalise(before, None, notes)
    assert [entry.version for entry in done.opset_import] == [18]
    assert ops(done) == ["Conv", "ReduceMean", "Unsqueeze"]
    assert notes == ["the model's opset 11 was converted to 18"]
    x = random(1, 3, 8, 8)
    np.testing.assert_allclose(run(done, x), run(before, x), rtol=1e-6)


class TestTypes:
    """What is not computed in float32 would round otherwise: it is refused with what to do."""

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (TensorProto.FLOAT16, "float16"),
            (TensorProto.BFLOAT16, "bfloat16"),
            (TensorProto.DOUBLE, "float64"),
        ],
    )
    def test_other_floats(self, kind: int, name: str) -> None:
        message = rf"computes in {name} \('x'\); call model\.float\(\)"
        made = model([helper.make_node("Relu", ["x"], ["y"])])
        made.graph.input[0].type.tensor_type.elem_type = kind
        made.graph.output[0].type.tensor_type.elem_type = kind
        with pytest.raises(UnsupportedError, match=message):
            normalise(made, None, [])

    def test_weights_behind_a_cast(self) -> None:
        w = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float16), "w")
        nodes = [
            helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Conv", ["half", "w"], ["c"]),
            helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
        ]
        with pytest.raises(UnsupportedError, match=r"computes in float16 \('w'\)"):
            normalise(model(nodes, initializers=[w]), None, [])


@pytest.mark.parametrize("batch", ["N", "batch", 0, -1])
def test_ways_to_leave_the_batch_open(batch: int | str) -> None:
    notes: list[str] = []
    done = normalise(conv_bn(shape=(batch, 3, 8, 8)), None, notes)
    assert dims(done.graph.output[0]) == (1, 4, 6, 6)
    assert notes == ["the batch axis of input 'x' was fixed to 1"]


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 17])
def test_every_old_opset(opset: int) -> None:
    done = normalise(conv_bn(opset=opset), None, [])
    x = random(1, 3, 8, 8)
    np.testing.assert_array_equal(run(done, x), run(conv_bn(), x))


def branches(flag: str, *before: onnx.NodeProto) -> onnx.ModelProto:
    graphs = [
        helper.make_graph(
            [helper.make_node(op, ["x"], [f"{op}_y"])],
            op,
            [],
            [helper.make_tensor_value_info(f"{op}_y", TensorProto.FLOAT, (1, 3, 8, 8))],
        )
        for op in ("Relu", "Neg")
    ]
    node = helper.make_node(
        "If", [flag], ["y"], "branch", then_branch=graphs[0], else_branch=graphs[1]
    )
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    return model([*before, node], initializers=[true, *weights(zero=0.0)])


def test_a_branch_that_is_known_is_taken() -> None:
    assert ops(normalise(branches("true"), None, [])) == ["Relu"]


def test_a_branch_on_values_is_refused_with_the_reason(tmp_path: Path) -> None:
    made = branches(
        "positive",
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(normalise(made, None, []).SerializeToString())
    with pytest.raises(UnsupportedError, match=r"If 'branch'.*depends on values.*torch\.where"):
        graph_of(path, "m")


def filled(shape: list[int]) -> onnx.ModelProto:
    """x plus ones of a computed shape, which is how the older exporter writes pads and ones_like."""
    size = numpy_helper.from_array(np.asarray(shape, np.int64), "size")
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["ones"], value=one),
        helper.make_node("Add", ["x", "ones"], ["y"]),
    ]
    return model(nodes, initializers=[size])


def test_filled_constants_become_initializers() -> None:
    assert ops(normalise(filled([1, 3, 1, 1]), None, [])) == ["Add"]


@pytest.mark.parametrize("shape", [[1 << 40, 1, 1, 1], [-1, 3, 1, 1], [-(1 << 40), -(1 << 40)]])
def test_filled_constants_of_absurd_sizes_are_never_made(shape: list[int]) -> None:
    with pytest.raises((InputError, UnsupportedError)):
        reference.run(normalise(filled(shape), None, []), {"x": random(1, 3, 8, 8)})


@pytest.mark.parametrize("kind", [TensorProto.UNDEFINED, 99])
def test_inputs_of_no_type(kind: int) -> None:
    made = conv_bn()
    made.graph.input.append(helper.make_tensor_value_info("z", kind, (1, 2)))
    with pytest.raises(InputError, match="'z' is not a tensor of a type that onnx knows"):
        normalise(made, None, [])


def test_outputs_that_are_no_result() -> None:
    """An input and a constant, which keep their shapes."""
    made = conv_bn()
    made.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8)))
    made.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 3, 3)))
    done = normalise(made, None, [])
    assert [dims(value) for value in done.graph.output] == [
        (1, 4, 6, 6),
        (1, 3, 8, 8),
        (4, 3, 3, 3),
    ]
    assert len(run(done, random(1, 3, 8, 8)).shape) == 4


def test_a_batch_whose_answers_are_not_numbers() -> None:
    """NaN is NaN in both."""
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    assert dims(normalise(model(nodes, shape=(2, 3, 8, 8)), None, []).graph.output[0]) == (
        1,
        3,
        8,
        8,
    )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2], [1, 4], 0.5),
        ([np.nan, np.inf, 1], [np.nan, np.inf, 1], 0),
        ([np.nan, 1], [1, 1], np.inf),
        ([1, 1], [np.nan, 1], np.inf),
        ([np.inf, 1], [-np.inf, 1], np.inf),
        ([], [], 0),
        ([np.nan, 1], [np.nan, 2], 0.5),
    ],
)
def test_difference(one: list[float], other: list[float], expected: float) -> None:
    assert reference.difference(np.float32(one), np.float32(other)) == expected
    assert reference.difference(np.array([True]), np.array([False])) > 1
