"""Against LCE's own converter: equal where it is right, and one case where it is silently wrong.

`convert_saved_model` works with tensorflow 2.21; `convert_keras_model` does not work with Keras 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_nets import Net, disagreements, floats, parsed, signs

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Array
from r2b_edge.ops import BinaryConv, ChannelAffine, FloatConv, PReLU, Step, Window

Converted = Callable[[Callable[[Any], Any], tuple[int, ...]], Any]


@pytest.fixture(scope="module")
def by_lce(lce: type[LceExecutor], tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """by_lce(function, shape of its input) is LCE's interpreter on what LCE's converter makes of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # First our own copy of the interpreter's module, then LCE's: they must be one.
    net = Net((1, 1))
    lce(convert(net.done(net.add(PReLU(np.ones(1, np.float32)), "x0")))).run(
        {"x0": np.ones((1, 1), np.float32)}
    )
    import larq_compute_engine
    import tensorflow

    def make(function: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
        module = tensorflow.Module()
        spec = tensorflow.TensorSpec(shape, tensorflow.float32)
        module.call = tensorflow.function(function, input_signature=[spec])
        folder: Path = tmp_path_factory.mktemp("saved")
        tensorflow.saved_model.save(module, str(folder), signatures=module.call)
        data = larq_compute_engine.convert_saved_model(folder)
        return larq_compute_engine.testing.Interpreter(data), parsed(data)

    return make


def nhwc(array: Array) -> Array:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def operators(content: Any) -> list[str]:
    codes = [
        c.customCode.decode() if c.customCode else c.builtinCode for c in content.operatorCodes
    ]
    return [codes[o.opcodeIndex] for o in content.subgraphs[0].operators]


def test_equal_where_lce_is_right(lce: type[LceExecutor], by_lce: Converted) -> None:
    """Two binary convolutions, VALID with stride 1: the case that LCE's converter was made for."""
    import tensorflow as tf

    random = np.random.default_rng(30)
    first, second = signs(random, 64, 32, 3, 3), signs(random, 40, 64, 3, 3)
    scale, offset = random.uniform(0.5, 1, 64).astype(np.float32), floats(random, 64)
    slope = floats(random, 64)

    net = Net((1, 32, 9, 8))
    rise = np.ones(64, np.int8)
    bits = net.add(Step(np.zeros(32, np.float32), rise[:32]), "x0")
    y = net.add(BinaryConv(first, Window((3, 3))), bits)
    y = net.add(PReLU(slope), net.add(ChannelAffine(scale, offset), y))
    bits = net.add(Step(np.zeros(64, np.float32), rise), y)
    graph = net.done(net.add(BinaryConv(second, Window((3, 3))), bits))

    def sign(x: Any) -> Any:
        return tf.where(x >= 0.0, tf.ones_like(x), -tf.ones_like(x))

    def conv(x: Any, weight: Array) -> Any:
        return tf.nn.conv2d(sign(x), weight.transpose(2, 3, 1, 0).astype(np.float32), 1, "VALID")

    def network(x: Any) -> Any:
        y = conv(x, first) * scale + offset
        return conv(tf.nn.relu(y) + slope * tf.minimum(y, 0.0), second)

    theirs, content = by_lce(network, (1, 9, 8, 32))
    assert operators(content).count("LceBconv2d") == 2
    ours = lce(convert(graph))
    (name,) = graph.outputs
    for _ in range(3):
        x = floats(random, 1, 32, 9, 8)
        assert disagreements(graph, ours, {"x0": x}) == []
        np.testing.assert_array_equal(
            theirs.predict(nhwc(x)), nhwc(ours.run({"x0": x})[name]).astype(np.float32)
        )


def test_wrong_where_torch_pads_both_sides_with_stride_2(
    lce: type[LceExecutor], by_lce: Converted
) -> None:
    """Pad 3 and 7x7 VALID with stride 2 on an even size: LCE's converter fuses them to SAME, which pads (2, 3)."""
    import tensorflow as tf

    random = np.random.default_rng(31)
    weight, bias = floats(random, 8, 3, 7, 7), floats(random, 8)
    net = Net((1, 3, 16, 16))
    graph = net.done(net.add(FloatConv(weight, bias, Window((7, 7), (2, 2), (3,) * 4)), "x0"))

    def stem(x: Any) -> Any:
        padded = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
        return tf.nn.conv2d(padded, weight.transpose(2, 3, 1, 0), 2, "VALID") + bias

    x = floats(random, 1, 3, 16, 16)
    want = nhwc(interpret.run(graph, {"x0": x})[graph.outputs[0]])
    np.testing.assert_allclose(stem(tf.constant(nhwc(x))).numpy(), want, atol=1e-4)
    theirs, content = by_lce(stem, (1, 16, 16, 3))
    assert len(operators(content)) == 1, "the pad is fused"
    assert np.abs(theirs.predict(nhwc(x)) - want).max() > 10
    assert disagreements(graph, lce(convert(graph)), {"x0": x}) == []
