"""Names that the author of a network knows: its layers are called after the parameters that they hold."""

from __future__ import annotations

import onnx

_LAYERS = {"Conv", "Gemm", "MatMul"}
_SUFFIXES = (".weight", ".weights")
"""torch's own name, and that of Bi-Real net and ReActNet."""


def name_layers(model: onnx.ModelProto) -> None:
    """Rename each Conv, Gemm and MatMul after its weights: `units.0.conv.weight` -> `units.0.conv`.

    Weights may be computed from the parameter (its sign, a product with a scale), as long as nothing else than
    constants goes into them; so this comes before constants are folded. A layer without such a parameter, or whose
    name another node has, keeps the exporter's name.
    """
    producers = {output: node for node in model.graph.node for output in node.output}
    sizes = {t.name: len(t.raw_data) for t in model.graph.initializer}
    taken = {node.name for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type not in _LAYERS or len(node.input) < 2:
            continue
        parameter = _parameter(node.input[1], producers, sizes)
        name = parameter.rpartition(".")[0]
        if name and name not in taken:
            node.name = name
            taken.add(name)


def _parameter(value: str, producers: dict[str, onnx.NodeProto], sizes: dict[str, int]) -> str:
    """The largest initializer called *.weight or *.weights that `value` is computed from, or ""."""
    found, front, seen = [""], [value], set[str]()
    while front:
        name = front.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in producers:
            front += [i for i in producers[name].input if i]
        elif name in sizes:
            found.append(name)
        elif name:
            return ""  # an input of the network: the weights are not constant
    weights = [name for name in found if name.endswith(_SUFFIXES)]
    return max(weights, key=lambda name: sizes[name], default="")
