"""A model saved for a batch of several samples, brought to one. Runs in the child process."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from r2b_edge.frontend.reference import difference, random_inputs, run
from r2b_edge.frontend.sizes import dims, set_dims, static_dims

TRIALS = 8
# Two batch sizes run different matrix kernels; a rounding difference may flip a sign and then a
# whole logit. A model that mixes its samples agrees on none, so one that agrees is enough.
TOLERANCE = 1e-4


def batch_of(model: onnx.ModelProto) -> int:
    """The common first size of all inputs of two and more axes, or 1 where there is none."""
    sizes = {dims(value)[0] for value in model.graph.input if len(dims(value)) > 1}
    return (sizes.pop() or 1) if len(sizes) == 1 else 1


def with_batch_one(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The model for one sample: inputs of batch 1, and 1 where a Reshape names the batch."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in single.graph.input:
        if len(dims(value)) > 1:
            set_dims(value, (1, *static_dims(value)[1:]))
    weights = {tensor.name: tensor for tensor in single.graph.initializer}
    for node in single.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in weights:
            continue
        shape = numpy_helper.to_array(weights[node.input[1]])
        if shape.ndim == 1 and shape.size > 1 and shape[0] == batch:
            name = f"{node.output[0]}.batch1"
            fixed = np.concatenate([[1], shape[1:]]).astype(np.int64)
            single.graph.initializer.append(numpy_helper.from_array(fixed, name))
            node.input[1] = name
    return single


def same_function(model: onnx.ModelProto, single: onnx.ModelProto, batch: int) -> bool:
    """Whether a sample gets the same answer alone as within its batch, tried on random samples."""
    inputs = random_inputs(model)
    together = run(model, inputs)
    for index in range(min(batch, TRIALS)):
        one_sample = {
            name: array[index : index + 1] if array.ndim > 1 else array
            for name, array in inputs.items()
        }
        alone = run(single, one_sample)
        if all(
            one.shape == (1, *many.shape[1:]) and difference(one[0], many[index]) <= TOLERANCE
            for one, many in zip(alone, together, strict=True)
        ):
            return True
    return False
