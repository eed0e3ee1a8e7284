"""The file itself: what runtimes and viewers expect of it, its map to the graph, its size."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_nets import Net, disagreements, feeds, floats, parsed, r2b_net, r2b_resnet18

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.errors import InputError
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.exporters.tflite.versions import MIN_RUNTIME, min_runtime
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import Add, Clip, Dense, PReLU


@pytest.fixture(scope="module")
def graph() -> Graph:
    return r2b_net(np.random.default_rng(20))


def test_whole_network_step_by_step(lce: type[LceExecutor], graph: Graph) -> None:
    inputs = feeds(graph, np.random.default_rng(21), batch=3)
    assert disagreements(graph, lce(convert(graph)), inputs) == []


@pytest.mark.parametrize("flags", [{"reference_kernel": True}, {"indirect_kernel": True}])
def test_whole_network_on_other_kernels(
    lce: type[LceExecutor], graph: Graph, flags: dict[str, bool]
) -> None:
    inputs = feeds(graph, np.random.default_rng(22), batch=1)
    assert disagreements(graph, lce(convert(graph), **flags), inputs) == []


def test_resnet18_at_224(lce: type[LceExecutor]) -> None:
    """Its size, and every step of it. Not its logits: rounding flips bits of a random network, which amplifies that."""
    graph = r2b_resnet18(np.random.default_rng(27))
    model = convert(graph)
    assert 5_400_000 < len(model.data) < 5_450_000
    inputs = feeds(graph, np.random.default_rng(28), batch=1)
    assert disagreements(graph, lce(model), inputs, whole=False) == []


def test_a_wrong_weight_is_found(lce: type[LceExecutor], graph: Graph) -> None:
    """The comparison can fail, and names the step: one flipped filter bit in the file."""
    model = convert(graph)
    conv = next(s for s in model.steps if "LceBconv2d" in s.kernels)
    operator = parsed(model.data).subgraphs[0].operators[conv.operators.stop - 1]
    content = parsed(model.data)
    filters = content.buffers[content.subgraphs[0].tensors[operator.inputs[1]].buffer].data
    at = model.data.index(filters.tobytes())
    damaged = bytearray(model.data)
    damaged[at] ^= 1
    model = dataclasses.replace(model, data=bytes(damaged))
    found = disagreements(graph, lce(model), feeds(graph, np.random.default_rng(23), batch=1))
    assert found[0] == f"step {conv.index} {conv.nodes}: {conv.outputs[0]}"
    assert all(f.startswith("whole") for f in found[1:])


def test_same_graph_same_bytes(graph: Graph) -> None:
    assert convert(graph).data == convert(r2b_net(np.random.default_rng(20))).data


def test_steps_cover_every_node_and_operator_once(graph: Graph) -> None:
    model = convert(graph)
    covered = sorted(name for step in model.steps for name in step.nodes)
    assert covered == sorted(node.name for node in graph.nodes)
    operators = [i for step in model.steps for i in step.operators]
    assert operators == list(range(len(parsed(model.data).subgraphs[0].operators)))
    assert [step.index for step in model.steps] == list(range(len(model.steps)))
    for step in model.steps:
        assert set(step.inputs) | set(step.outputs) <= set(model.tensors)


def test_the_map_of_tensors_is_true(graph: Graph) -> None:
    model = convert(graph)
    tensors = parsed(model.data).subgraphs[0].tensors
    for name, where in model.tensors.items():
        kind = graph.type(name)
        shape = list(tensors[where.index].shape)
        bits = kind.dtype == "bits"
        depth = -(-kind.channels // 32) if bits else kind.channels
        assert shape == [1, *kind.shape[2:], depth]
        assert tensors[where.index].type == (
            schema.TensorType.INT32 if bits else schema.TensorType.FLOAT32
        )
        assert tensors[where.index].name.decode() == name


def test_file_format(graph: Graph) -> None:
    data = convert(graph).data
    assert data[4:8] == b"TFL3"
    model = schema.Model.GetRootAs(data)
    assert model.Version() == 3
    assert model.Buffers(0).DataLength() == 0
    for i in range(1, model.BuffersLength()):
        buffer = model.Buffers(i)
        start = buffer._tab.Vector(buffer._tab.Offset(4))
        assert start % 16 == 0, f"buffer {i} begins at {start}"

    content = parsed(data)
    stored = [b.data.tobytes() for b in content.buffers[1:]]
    assert len(set(stored)) == len(stored), "equal constants are stored once"
    for code in content.operatorCodes:
        assert code.deprecatedBuiltinCode == min(code.builtinCode, 127)
        custom = code.builtinCode == schema.BuiltinOperator.CUSTOM
        assert (code.customCode in (b"LceBconv2d", b"LceQuantize")) == custom
    (metadata,) = content.metadata
    assert metadata.name == b"min_runtime_version"
    assert content.buffers[metadata.buffer].data.tobytes() == b"1.14.0".ljust(16, b"\0")
    (signature,) = content.signatureDefs
    (subgraph,) = content.subgraphs
    assert signature.signatureKey == b"serving_default"
    assert [i.tensorIndex for i in signature.inputs] == list(subgraph.inputs)
    assert [o.tensorIndex for o in signature.outputs] == list(subgraph.outputs)
    assert signature.inputs[0].name == b"x0"
    assert b"NHWC" in content.description
    written: set[int] = set(subgraph.inputs) | {
        i for i, t in enumerate(subgraph.tensors) if t.buffer
    }
    for operator in subgraph.operators:
        assert {int(i) for i in operator.inputs} - {-1} <= written
        written |= {int(o) for o in operator.outputs}
    names = [t.name for t in subgraph.tensors]
    assert len(set(names)) == len(names)


def test_litert_verifies_the_file_and_refuses_a_damaged_one(
    lce: type[LceExecutor], graph: Graph
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = convert(graph)
    tensors = Interpreter(model_content=model.data).get_tensor_details()
    assert len(tensors) == len(parsed(model.data).subgraphs[0].tensors)
    damaged = bytearray(model.data)
    damaged[40:44] = b"\xff\xff\xff\x0f"
    with pytest.raises(InputError, match=r"model\.tflite is damaged"):
        lce(dataclasses.replace(model, data=bytes(damaged)))
    with pytest.raises(InputError, match=r"model\.tflite is damaged"):
        lce(dataclasses.replace(model, data=model.data[: len(model.data) // 2]))


def test_every_version_that_is_written_has_its_runtime() -> None:
    assert min_runtime({("ADD", 1), ("PADV2", 1)}) == "1.9.0"
    assert min_runtime({("DEPTHWISE_CONV_2D", 2), ("PADV2", 1)}) == "1.12.0"
    for kind, _ in MIN_RUNTIME:
        assert hasattr(schema.BuiltinOperator, kind)


def test_names_of_strangers_do_no_harm(lce: type[LceExecutor]) -> None:
    net = Net((1, 4))
    evil = "\0\n<script>\u202e" + "\xe9" * 500
    net.graph.add("n", PReLU(np.ones(4, np.float32)), ["x0"], evil, net.graph.tensors["x0"].origin)
    net.graph.add("m", Add(), [evil, "x0"], evil + "2", net.graph.tensors["x0"].origin)
    graph = net.done(evil, evil + "2")
    model = convert(graph)
    for tensor in parsed(model.data).subgraphs[0].tensors:
        assert tensor.name.isascii()
        assert tensor.name.decode().isprintable()
        assert len(tensor.name) < 120
    outputs = [o.name for o in parsed(model.data).signatureDefs[0].outputs]
    assert len(set(outputs)) == 2
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(24))) == []


def test_a_network_of_builtin_ops_runs_in_plain_litert() -> None:
    from ai_edge_litert.interpreter import Interpreter

    random = np.random.default_rng(25)
    net = Net((1, 6))
    y = net.add(Clip(0.0, np.inf), net.add(Dense(floats(random, 4, 6), floats(random, 4)), "x0"))
    graph = net.done(y)
    run = Interpreter(model_content=convert(graph).data).get_signature_runner()
    x = floats(random, 1, 6)

    want = interpret.run(graph, {"x0": x})[y]
    np.testing.assert_allclose(run(x0=x)[y], want, atol=1e-5 * np.abs(want).max())


def test_neither_the_export_nor_the_check_imports_tensorflow(lce: type[LceExecutor]) -> None:
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "from tflite_nets import *\n"
        "from r2b_edge.exporters.tflite.convert import convert\n"
        "graph = r2b_net(np.random.default_rng(0), width=8, size=8)\n"
        "found = disagreements(graph, LceExecutor(convert(graph)), feeds(graph, np.random.default_rng(1), 1))\n"
        "assert not found, found\n"
        "assert not {'tensorflow', 'larq_compute_engine'} & set(sys.modules)\n"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", code, here], check=True, timeout=60)
