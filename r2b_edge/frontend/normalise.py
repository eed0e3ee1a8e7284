"""Bring an ONNX model into the one shape that the rest of the tool reads: model.onnx.

Static sizes, a batch of one, every constant an initializer, no Identity and no dead code, no text
of its author's machine. The arithmetic stays as it is: no operator is fused with another, so that
each BatchNormalization and each scale can still be seen. Runs in the child process.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import shape_inference, version_converter

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.batch import batch_of, same_function, with_batch_one
from r2b_edge.frontend.loaded import shape_text
from r2b_edge.frontend.onnx_file import MAX_BYTES
from r2b_edge.frontend.sizes import dims, dtype, require_count, require_fit, set_dims
from r2b_edge.frontend.text import first_line, last_line, printable

if TYPE_CHECKING:
    import onnx_ir as ir

OPSET = 18
IR_VERSION = 10  # of opset 18 and later; older files list their initializers among the inputs
_NO_LIMIT = 10**9  # bytes: the default of onnxscript leaves weights of usual sizes unfolded
_ROUNDS = 8
_MAX_FILL = 2**24  # values
_OTHER_FLOATS = {
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.BFLOAT16: "bfloat16",
    onnx.TensorProto.DOUBLE: "float64",
}
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def normalise(
    model: onnx.ModelProto, shapes: tuple[tuple[int, ...], ...] | None, notes: list[str]
) -> onnx.ModelProto:
    """Fix the inputs' sizes, fold what is constant, drop what is unused.

    Args:
        model: standard operators only, in execution order (see `onnx_file`).
        shapes: the sizes that the user asks for, one shape an input; None: as the file says.
        notes: what the user should know is appended here.

    Returns:
        a new model with the same function of one sample.

    Raises:
        InputError: `shapes` does not fit, or sizes stay open.
        UnsupportedError: the samples of its batch cannot be told apart, or the model is too large.
    """
    model = _upgrade(model, notes)
    _drop_weights_from_inputs(model)
    _fix_inputs(model, shapes, notes)
    _limit_inputs(model)
    _require_float32(model)
    model = _clean(model)
    batch = batch_of(model)
    if batch > 1:
        single = _clean(with_batch_one(model, batch))
        if not same_function(model, single, batch):
            raise UnsupportedError(
                f"the model was saved for batches of {batch} and gives other answers one by one",
                "save it with an example input of batch 1",
            )
        notes.append(f"the batch axis of {batch} was fixed to 1")
        model = single
    if model.ByteSize() > MAX_BYTES:
        raise UnsupportedError("the model with its constants folded is 2 GiB or more")
    for value in model.graph.output:
        if None in dims(value):
            raise UnsupportedError(
                f"the size of output {printable(value.name, 80)!r} depends on the input's values"
            )
    return model


def _upgrade(model: onnx.ModelProto, notes: list[str]) -> onnx.ModelProto:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    version = max(versions, default=1)
    if version >= OPSET:
        return model
    try:
        converted = version_converter.convert_version(model, OPSET)
    except Exception as error:  # C++ exceptions arrive as RuntimeError and others
        raise UnsupportedError(
            f"the model's opset {version} cannot be brought to {OPSET}: {first_line(str(error))}",
            f"export it again with opset_version={OPSET}",
        ) from error
    notes.append(f"the model's opset {version} was converted to {OPSET}")
    return converted


def _drop_weights_from_inputs(model: onnx.ModelProto) -> None:
    """Old files list every initializer among the inputs, as a default that a caller may replace."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if not inputs:
        raise InputError("the model has no input")
    kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, IR_VERSION)


def _fix_inputs(
    model: onnx.ModelProto, shapes: tuple[tuple[int, ...], ...] | None, notes: list[str]
) -> None:
    """Give every input static sizes: the user's, the file's, and 1 for an open batch axis."""
    inputs = model.graph.input
    if shapes is not None:
        require_count(len(shapes), len(inputs))
    for index, value in enumerate(inputs):
        name = printable(value.name, 60)
        if not value.type.HasField("tensor_type"):
            raise UnsupportedError(f"the model's input {name!r} is not a tensor")
        wanted = shapes[index] if shapes is not None else None
        has = dims(value)
        if wanted is not None:
            require_fit(value.name, has, wanted)
        fixed = list(has)
        for axis, size in enumerate(has):
            if size is None and axis == 0:
                fixed[0] = 1
                notes.append(f"the batch axis of input {name!r} was fixed to 1")
            elif size is None:
                fixed[axis] = wanted[axis] if wanted is not None else None
        sizes = tuple(size for size in fixed if size is not None)
        if len(sizes) < len(fixed):
            raise InputError(
                f"the model's input {name!r} is {shape_text(has)}, with open sizes",
                _shape_hint(has),
            )
        set_dims(value, sizes)


def _limit_inputs(model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        sizes = [size for size in dims(value) if size is not None]
        if math.prod(sizes) * dtype(value).itemsize > MAX_BYTES:
            raise InputError(
                f"input {printable(value.name, 80)!r} of {shape_text(tuple(sizes))} is larger than 2 GiB"
            )


def _require_float32(model: onnx.ModelProto) -> None:
    """Refuse a network that computes in another float type than the runtime's, which would round otherwise."""
    tensors = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    values = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    weights = {
        name: tensors[name]
        for node in model.graph.node
        if node.op_type in _WITH_WEIGHTS
        for name in node.input
        if name in tensors
    }
    for name, kind in {**values, **weights}.items():
        if kind in _OTHER_FLOATS:
            raise UnsupportedError(
                f"the model computes in {_OTHER_FLOATS[kind]} ({printable(name, 80)!r})",
                "call model.float() before exporting it, and give it float32 inputs",
            )


def _shape_hint(has: tuple[int | None, ...]) -> str:
    example = ",".join(str(size or (1 if axis == 0 else 32)) for axis, size in enumerate(has))
    return f"give them with --input-shape, such as --input-shape {example or '1,3,32,32'}"


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold until nothing changes, then infer every shape anew."""
    from onnx_ir import serde

    _forget_shapes(model)
    model = _anonymous(_infer(model))
    try:
        folded = serde.deserialize_model(model)
        _fold(folded)
        model = _anonymous(serde.serialize_model(folded))
    except serde.SerdeError as error:
        raise InputError(f"the model is damaged: {last_line(str(error))}") from error
    _drop_zero_biases(model)
    _forget_shapes(model)
    return _infer(model)


def _fold(model: ir.Model) -> None:
    """Fold constants of any size and drop what is unused, in place, until nothing changes."""
    from onnx_ir import passes
    from onnx_ir.passes import common
    from onnxscript import optimizer

    cleanup = passes.Sequential(
        common.IdentityEliminationPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
    )
    for _ in range(_ROUNDS):
        folded = optimizer.fold_constants(
            model,
            onnx_shape_inference=True,
            input_size_limit=_NO_LIMIT,
            output_size_limit=_NO_LIMIT,
            should_fold=_folds_although_listed,
        )
        cleaned = cleanup(model)
        if not folded.modified and not cleaned.modified:
            break
    common.NameFixPass()(model)
    common.ClearMetadataAndDocStringPass()(model)


def _folds_although_listed(node: ir.Node) -> bool | None:
    """True for ConstantOfShape, which onnxscript leaves alone: the older exporter writes pads and ones with it."""
    if node.op_type != "ConstantOfShape" or not node.inputs or node.inputs[0] is None:
        return None
    shape = node.inputs[0].const_value
    return True if shape is not None and math.prod(shape.numpy().tolist()) <= _MAX_FILL else None


def _anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the fields that say who made the model, with what and where."""
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        model.ClearField(name)
    del model.metadata_props[:]
    model.graph.name = "main"
    return model


def _drop_zero_biases(model: onnx.ModelProto) -> None:
    """torch.onnx gives a Conv without bias one of zeros, which the network was not trained with."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    zero = {
        node.input[2]
        for node in model.graph.node
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in weights
        and not np.any(onnx.numpy_helper.to_array(weights[node.input[2]]))
    }  # fmt: skip
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in zero:
            del node.input[2:]
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in zero - used]
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Drop every shape but the inputs' and constants': they may be those of another batch."""
    del model.graph.value_info[:]
    known = {item.name for item in (*model.graph.input, *model.graph.initializer)}
    for value in model.graph.output:
        if value.type.HasField("tensor_type") and value.name not in known:
            value.type.tensor_type.ClearField("shape")


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except shape_inference.InferenceError as error:
        raise InputError(
            f"the model's shapes do not fit together: {first_line(str(error))}"
        ) from error
