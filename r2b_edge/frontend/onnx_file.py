"""Read a user's .onnx file and check that it is what it claims to be. Runs in the child process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import qonnx
from r2b_edge.frontend.sizes import set_dims
from r2b_edge.frontend.text import first_line, printable

MAX_BYTES = (1 << 31) - 1  # of a protobuf, hence of a single .onnx file
STANDARD = ("", "ai.onnx")


def load(
    path: Path, notes: list[str], shapes: Sequence[Sequence[int]] | None = None
) -> onnx.ModelProto:
    """The model, external tensors read in, local functions inlined, nodes in execution order.

    QONNX's nodes are written in onnx's own operators, which `notes` is told. An input without any shape gets that
    of `shapes`, one an input.

    Raises:
        InputError: damaged; a cycle; a value that nothing produces; wrong types; external data
            outside of the file's own folder.
        UnsupportedError: an operator of another domain than ONNX's own; 2 GiB or more.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnsupportedError(f"{path} is a model of 2 GiB or more")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise InputError(f"{path} is a damaged or truncated onnx file") from error
    _require_text(model, path)
    if not model.graph.node:
        raise InputError(f"{path} holds an onnx model without any node")
    _read_external(model, path)
    if model.ByteSize() > MAX_BYTES:
        raise UnsupportedError(f"{path} is a model of 2 GiB or more")
    model = qonnx.in_standard_operators(inlined(model, path), path, notes)
    require_standard(model.graph, path)
    sort_nodes(model.graph, path)
    _fill_shapes(model.graph, path, shapes)
    try:
        # Inference first: it fills in the outputs' shapes, which the checker asks for and files omit.
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(model)
    except Exception as error:  # beside its own two classes, C++ exceptions arrive as others
        if "Field 'shape'" in str(error):
            _require_shapes(model.graph, path)
        raise InputError(f"{path} is not a valid onnx model: {first_line(str(error))}") from error
    return model


def _fill_shapes(
    graph: onnx.GraphProto, path: Path, shapes: Sequence[Sequence[int]] | None
) -> None:
    """Give inputs without a shape, not even a number of axes, the user's."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    for index, value in enumerate(inputs):
        kind = value.type
        if not kind.HasField("tensor_type") or kind.tensor_type.HasField("shape"):
            continue
        if shapes is None or len(shapes) != len(inputs):
            raise InputError(
                f"{path} does not say the shape of input {printable(value.name, 80)!r}",
                "give one for each input with --input-shape, such as --input-shape 1,3,32,32",
            )
        kind.tensor_type.shape.SetInParent()
        set_dims(value, tuple(shapes[index]))


def _require_shapes(graph: onnx.GraphProto, path: Path) -> None:
    """Say of an output of which inference tells nothing what that means."""
    for value in graph.output:
        kind = value.type
        if kind.HasField("tensor_type") and not kind.tensor_type.HasField("shape"):
            raise UnsupportedError(
                f"{path}: the size of output {printable(value.name, 80)!r} depends on the input's values"
            )


def _require_text(model: onnx.ModelProto, path: Path) -> None:
    """Refuse names that are no UTF-8, which protobuf hands out as bytes."""
    names: list[object] = [tensor.name for tensor in _tensors(model)]
    for graph in _graphs(model):
        names += [item.name for item in (*graph.input, *graph.output, *graph.value_info)]
    for node in _nodes(model):
        names += (node.name, node.op_type, node.domain, *node.input, *node.output)
        names += [attribute.name for attribute in node.attribute]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is a damaged onnx file: it holds a name that is no text")


def inlined(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The model without local functions.

    Raises:
        InputError: they call each other in a circle, or are damaged.
    """
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # C++ exceptions arrive as RuntimeError and others
        raise InputError(
            f"{path}: its local functions cannot be inlined: {first_line(str(error))}"
        ) from error


def _read_external(model: onnx.ModelProto, path: Path) -> None:
    """Bring external tensors into the model, from files in the model's own folder only."""
    folder = path.resolve().parent
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        name = printable(tensor.name, 60)
        try:
            info = ExternalDataInfo(tensor)
            file = (folder / info.location).resolve()
            found = file.is_file()
        except (ValueError, OSError) as error:  # numbers and paths that are none
            raise InputError(f"{path}: tensor {name}: {first_line(str(error))}") from error
        if (
            not info.location
            or Path(info.location).is_absolute()
            or not file.is_relative_to(folder)
        ):
            raise InputError(
                f"{path}: tensor {name} wants its data from {info.location[:100]!a}, outside of "
                "the model's folder"
            )
        if not found:
            raise InputError(
                f"{path}: the file {info.location[:100]!a} of tensor {name} is missing"
            )
        if (info.offset or 0) + (info.length or 0) > file.stat().st_size:
            raise InputError(
                f"{path}: the file {info.location[:100]!a} of tensor {name} is truncated"
            )
        try:
            load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise InputError(f"{path}: tensor {name}: {first_line(str(error))}") from error
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield sparse.values
            yield sparse.indices
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor.values
                yield attribute.sparse_tensor.indices


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    yield from subgraphs(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _inner(node)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every graph inside its nodes' attributes."""
    yield graph
    for node in graph.node:
        yield from _inner(node)


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for graph in _bodies(node):
        yield from subgraphs(graph)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that the node itself holds, such as the branches of an If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def describe(node: onnx.NodeProto) -> str:
    """A node as a message names it."""
    name = node.name or (node.output[0] if node.output else "")
    return f"node {printable(name, 80)!r} ({printable(node.op_type, 40)})"


def require_standard(graph: onnx.GraphProto, path: Path) -> None:
    """Refuse operators that onnx does not define.

    Raises:
        UnsupportedError: names the first such node, of another domain.
        InputError: names the first such node, of onnx's own domain.
    """
    for inner in subgraphs(graph):
        if inner.sparse_initializer:
            raise UnsupportedError(f"{path} holds sparse weights", "save them as dense tensors")
        for node in inner.node:
            if node.domain not in STANDARD:
                raise UnsupportedError(
                    f"{path}: {describe(node)} is an operator of {printable(node.domain, 60)}, not "
                    "one of onnx's own",
                    "export the model without optimisations of a runtime",
                )
            if not onnx.defs.has(node.op_type):
                raise InputError(
                    f"{path} is not a valid onnx model: {describe(node)} is no operator of onnx"
                )


def sort_nodes(graph: onnx.GraphProto, path: Path, outer: frozenset[str] = frozenset()) -> None:
    """Put nodes into execution order, in place, keeping the file's order where it is one already.

    Raises:
        InputError: a value that nothing produces, or a cycle.
    """
    known = set(outer) | {value.name for value in graph.input}
    known |= {tensor.name for tensor in graph.initializer} | {""}
    made = {name for node in graph.node for name in node.output}
    reads = [_reads(node) for node in graph.node]
    for node, names in zip(graph.node, reads, strict=True):
        for name in names:
            if name not in known and name not in made:
                raise InputError(
                    f"{path}: {describe(node)} reads {printable(name, 80)!r}, which nothing in the "
                    "file produces (a missing initializer or node)"
                )
    for value in graph.output:
        if value.name not in known and value.name not in made:
            raise InputError(f"{path}: nothing produces its output {printable(value.name, 80)!r}")
    order: list[int] = []
    waiting = list(range(len(graph.node)))
    while waiting:
        blocked = []
        for index in waiting:
            if reads[index] <= known:
                order.append(index)
                known |= set(graph.node[index].output)
            else:
                blocked.append(index)
        if len(blocked) == len(waiting):
            node = _on_cycle([graph.node[index] for index in blocked], [reads[i] for i in blocked])
            raise InputError(f"{path}: {describe(node)} is part of a cycle")
        waiting = blocked
    if order != list(range(len(order))):
        nodes = [graph.node[index] for index in order]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    scope = frozenset(known)
    for node in graph.node:
        for inner in _bodies(node):
            sort_nodes(inner, path, scope)


def _on_cycle(nodes: list[onnx.NodeProto], reads: list[set[str]]) -> onnx.NodeProto:
    """A node on a cycle, where each node waits for another: walk back until one repeats."""
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    index, seen = 0, set[int]()
    while index not in seen:
        seen.add(index)
        index = next(maker[name] for name in sorted(reads[index]) if name in maker)
    return nodes[index]


def _reads(node: onnx.NodeProto) -> set[str]:
    """The values that a node needs from its own graph, those of its inner graphs included."""
    names = set(node.input) - {""}
    for graph in _bodies(node):
        own = {item.name for item in (*graph.input, *graph.initializer)}
        own |= {name for inner in graph.node for name in inner.output}
        for inner in graph.node:
            names |= _reads(inner) - own
        names |= {value.name for value in graph.output} - own
    return names
