"""QONNX's quantizers become onnx's own operators that compute the same; Brevitas' own files among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from frontend_onnx import model, weights
from onnx import TensorProto, helper

from r2b_edge.errors import InputError, R2BError, UnsupportedError
from r2b_edge.frontend import reference, to_onnx
from r2b_edge.frontend.qonnx import DOMAINS, in_standard_operators
from r2b_edge.pipeline import graph_of

GOLDEN = Path(__file__).parent / "golden"
WHERE = Path("m.onnx")


def quantizer(op: str, domain: str = DOMAINS[0], **attributes: Any) -> onnx.ModelProto:
    """x of [1, 1, 1, N] through one node."""
    names = ["x", "scale"] if op == "BipolarQuant" else ["x", "scale", "zero", "bits"]
    node = helper.make_node(op, names, ["y"], "q", domain=domain)
    values: dict[str, Any] = {"scale": 0.5, "zero": 0.0, "bits": 4.0}
    for name, value in attributes.items():
        if name in values:
            values[name] = value
        else:
            node.attribute.append(helper.make_attribute(name, value))
    return model(
        [node],
        initializers=weights(**{name: values[name] for name in names[1:]}),
        shape=(1, 1, 1, "N"),
        extra=[helper.make_opsetid(domain, 1)],
    )


def evaluate(made: onnx.ModelProto, x: Any) -> Any:
    notes: list[str] = []
    standard = in_standard_operators(made, WHERE, notes)
    assert notes == ["QONNX quantizers written in onnx's own operators: 1"]
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(standard))
    return reference.run(standard, {"x": np.asarray(x, np.float32).reshape(1, 1, 1, -1)})[0].ravel()


@pytest.mark.parametrize("domain", DOMAINS)
def test_bipolar(domain: str) -> None:
    x = [-3.0, -1e-30, -0.0, 0.0, 1e-30, 3.0]
    np.testing.assert_array_equal(
        evaluate(quantizer("BipolarQuant", domain), x), [-0.5, -0.5, 0.5, 0.5, 0.5, 0.5]
    )


def test_one_signed_bit_is_bipolar() -> None:
    made = quantizer("Quant", bits=1.0, signed=1, narrow=1)
    np.testing.assert_array_equal(evaluate(made, [-3, -0.0, 0, 0.1]), [-0.5, 0.5, 0.5, 0.5])


def test_one_unsigned_bit() -> None:
    made = quantizer("IntQuant", bits=1.0, signed=0, narrow=0)
    np.testing.assert_array_equal(evaluate(made, [-3, 0.2, 0.3, 9]), [0, 0, 0.5, 0.5])


# The table of rounding modes in QONNX's specification of IntQuant.
NUMBERS = [5.5, 2.5, 1.6, 1.1, 1.0, -1.0, -1.1, -1.6, -2.5, -5.5]
ROUNDED = {
    "ROUND": [6, 2, 2, 1, 1, -1, -1, -2, -2, -6],
    "HALF_EVEN": [6, 2, 2, 1, 1, -1, -1, -2, -2, -6],
    "CEIL": [6, 3, 2, 2, 1, -1, -1, -1, -2, -5],
    "FLOOR": [5, 2, 1, 1, 1, -1, -2, -2, -3, -6],
    "UP": [6, 3, 2, 2, 1, -1, -2, -2, -3, -6],
    "DOWN": [5, 2, 1, 1, 1, -1, -1, -1, -2, -5],
    "HALF_UP": [6, 3, 2, 1, 1, -1, -1, -2, -3, -6],
    "half_down": [5, 2, 2, 1, 1, -1, -1, -2, -2, -5],
}


@pytest.mark.parametrize("mode", ROUNDED)
def test_rounding(mode: str) -> None:
    made = quantizer("Quant", scale=1.0, bits=8.0, signed=1, narrow=0, rounding_mode=mode)
    np.testing.assert_array_equal(evaluate(made, NUMBERS), ROUNDED[mode])


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "least", "most"),
    [
        (8, 1, 0, -128, 127),
        (8, 1, 1, -127, 127),
        (8, 0, 0, 0, 255),
        (8, 0, 1, 0, 254),
        (2, 1, 1, -1, 1),  # ternary
        (2, 1, 0, -2, 1),
        (2, 0, 0, 0, 3),
    ],
)
def test_ranges(bits: int, signed: int, narrow: int, least: int, most: int) -> None:
    made = quantizer("Quant", scale=0.25, bits=float(bits), signed=signed, narrow=narrow)
    np.testing.assert_array_equal(evaluate(made, [-1e6, 1e6]), [least / 4, most / 4])


def test_zero_point() -> None:
    made = quantizer("Quant", scale=0.5, zero=3.0, bits=4.0, signed=0, narrow=0)
    # x / 0.5 + 3, clipped to 0..15, rounded, and back
    np.testing.assert_array_equal(evaluate(made, [-9, -1, 0, 0.6, 99]), [-1.5, -1, 0, 0.5, 6])


def test_scale_for_each_channel() -> None:
    node = helper.make_node("BipolarQuant", ["x", "scale"], ["y"], domain=DOMAINS[0])
    made = model(
        [node],
        initializers=weights(scale=[[[[1]], [[2]], [[-3]]]]),
        extra=[helper.make_opsetid(DOMAINS[0], 1)],
    )
    standard = in_standard_operators(made, WHERE, [])
    y = reference.run(standard, {"x": np.ones((1, 3, 8, 8), np.float32)})[0]
    np.testing.assert_array_equal(y[0, :, 0, 0], [1, 2, -3])


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"bits": 1.5}, InputError, "not a whole number of 1 to 32"),
        ({"bits": 0.0}, InputError, "not a whole number"),
        ({"bits": [2.0, 3.0]}, InputError, "not a whole number"),
        ({"bits": 1e30}, InputError, "not a whole number"),
        ({"bits": float("nan")}, InputError, "not a whole number"),
        ({"rounding_mode": "STOCHASTIC"}, UnsupportedError, "rounding mode 'STOCHASTIC'; .*ROUND"),
        ({"signed": 2}, InputError, "signed is 2, not 0 or 1"),
        ({"narrow": "x"}, InputError, "narrow is of a wrong type"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], kind: type[R2BError], message: str) -> None:
    with pytest.raises(kind, match=f"m.onnx: Quant 'q'.*{message}"):
        in_standard_operators(quantizer("Quant", **changes), WHERE, [])


def test_wrong_number_of_inputs_and_a_computed_width() -> None:
    made = quantizer("Quant")
    del made.graph.node[0].input[3:]
    with pytest.raises(InputError, match="has 3 inputs and 1 outputs, not 4 and 1"):
        in_standard_operators(made, WHERE, [])
    made = quantizer("Quant")
    del made.graph.node[0].output[:]
    with pytest.raises(InputError, match="has 4 inputs and 0 outputs"):
        in_standard_operators(made, WHERE, [])
    made = quantizer("Quant")
    made.graph.node[0].input[3] = "x"
    with pytest.raises(UnsupportedError, match="computes its bit width"):
        in_standard_operators(made, WHERE, [])


@pytest.mark.parametrize(
    "width",
    [
        onnx.TensorProto(data_type=TensorProto.FLOAT, raw_data=b"123"),
        onnx.TensorProto(data_type=99, raw_data=b"1234"),
        onnx.TensorProto(data_type=TensorProto.STRING, string_data=[b"one"]),
    ],
    ids=["cut off", "no type", "text"],
)
def test_a_width_of_damaged_bytes(width: onnx.TensorProto) -> None:
    made = quantizer("Quant")
    name = made.graph.node[0].input[3]
    (bits,) = (tensor for tensor in made.graph.initializer if tensor.name == name)
    bits.CopyFrom(width)
    bits.name = name
    with pytest.raises(InputError, match="not a whole number"):
        in_standard_operators(made, WHERE, [])


def test_other_operators_of_qonnx_are_refused_by_name(tmp_path: Path) -> None:
    node = helper.make_node("MultiThreshold", ["x"], ["y"], "mt", domain=DOMAINS[0])
    path = tmp_path / "m.onnx"
    made = model([node], extra=[helper.make_opsetid(DOMAINS[0], 1)])
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnsupportedError, match=r"node 'mt' \(MultiThreshold\).*qonnx"):
        to_onnx(path, tmp_path / "out.onnx")


@pytest.mark.parametrize("name", ["brevitas_binary", "brevitas_mixed"])
def test_files_of_brevitas(name: str, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    loaded = to_onnx(GOLDEN / f"{name}.onnx", out)
    assert loaded.form == "onnx"
    assert any("QONNX quantizers" in note for note in loaded.notes)
    made = onnx.load(out)
    assert {node.domain for node in made.graph.node} == {""}
    with np.load(GOLDEN / f"{name}.npz") as expected:
        y = reference.run(made, {loaded.inputs[0].name: expected["x"]})[0]
        np.testing.assert_allclose(y, expected["y"], rtol=1e-5, atol=1e-6)


def test_binary_layers_of_brevitas_are_found(tmp_path: Path) -> None:
    to_onnx(GOLDEN / "brevitas_binary.onnx", tmp_path / "model.onnx")
    findings = graph_of(tmp_path / "model.onnx", "m").findings
    assert [finding.binary for finding in findings] == [False, True, True]
