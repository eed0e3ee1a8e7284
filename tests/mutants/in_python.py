"""Bugs in the tool: in the exporters to C and to TFLite, and in what they share, the import and the passes."""

from __future__ import annotations

from functools import partial

from planting import Mutant

from r2b_edge.checking.reference import Reference
from r2b_edge.exporters import bits
from r2b_edge.exporters.c import (
    assemble,
    build,
    constants,
    in_place,
    integers,
    kernels,
    layout,
    pack,
    plan,
    select,
    stream,
)
from r2b_edge.exporters.tflite import (
    emit_binary,
    emit_elementwise,
    emit_layers,
    emit_moving,
    emit_pools,
    geometry,
    writer,
)
from r2b_edge.graph.handlers import layers
from r2b_edge.ops.integers import quantise
from r2b_edge.passes.binarize import _rewrite
from r2b_edge.passes.flip_steps import _takes, flip_steps
from r2b_edge.passes.fold_affine import _after
from r2b_edge.passes.gate_scale import gate_scale

_R2B, _INTEGERS, _POOLS, _MOVES = "real_to_binary", "integers", "pools", "moves"

tflite = partial(Mutant, executor="tflite")
graph = partial(Mutant, executor="graph")

TO_C = (
    Mutant(
        "taps of 8-bit weights transposed", "quantised", integers.weights,
        "transpose(0, 2, 3, 1)", "transpose(0, 2, 3, 1)[:, ::-1]", "Conv_2",
        "weight order: rows of a kernel",
    ),
    Mutant(
        "lower end of the wrong sign", "quantised", integers.fields,
        '"low": -op.zero_point', '"low": op.zero_point', "Conv_2",
        "signed for unsigned bytes",
    ),
    Mutant(
        "scale of bytes taken for their offset", "camera", pack.affine,
        '"offset": offset', '"offset": scale', "Conv_2",
        "two constants of a layer exchanged",
    ),
    Mutant(
        "weights rounded towards zero", "camera", pack.stored,
        "halves = weights.astype(np.float16)",
        "halves = np.nextafter(weights.astype(np.float16), np.float16(0)); weights = halves", "Conv_2",
        "other halves in C than in the graph",
    ),
    Mutant(
        "taps of binary weights transposed", _R2B, pack.binary_weights,
        "transpose(0, 2, 3, 1)", "transpose(0, 3, 2, 1)", "Conv_4",
        "weight order: rows and columns of a kernel",
    ),
    Mutant(
        "polarity of binary weights", _R2B, pack.binary_weights,
        "< 0", "> 0", "Conv_4",
        "bit 1 for +1",
    ),
    Mutant(
        "order of output channels", _R2B, pack.binary_weights,
        "weight.transpose", "weight[::-1].transpose", "Conv_4",
        "weight order: output channels",
    ),
    Mutant(
        "taps of real weights transposed", _R2B, pack.conv_weights,
        "transpose(2, 3, 1, 0)", "transpose(3, 2, 1, 0)", "Conv_0",
        "weight order",
    ),
    Mutant(
        "bits packed from the top", _R2B, bits.pack,
        'bitorder="little"', 'bitorder="big"', "Conv_0",
        "bit order",
    ),
    Mutant(
        "threshold off by one integer", _INTEGERS, pack.thresholds,
        "floats(limit)", "floats(limit + (np.arange(limit.size) == 33))", "Conv_4",
        "the threshold of one channel",
    ),
    Mutant(
        "threshold off by a little", _R2B, pack.thresholds,
        "floats(limit)", "floats(limit + np.float32(1e-3) * np.abs(limit).max())", "Conv_0",
        "a threshold rounded to a few digits",
    ),
    Mutant(
        "threshold that nothing crosses", _R2B, pack.thresholds,
        "floats(limit)", "floats(np.where(np.abs(limit) > 1e3, 2 * limit, limit))", "Conv_18",
        "a wrong threshold of a channel that is constant on every sample",
    ),
    Mutant(
        "falling thresholds as rising ones", _INTEGERS, pack.thresholds,
        "pack_words(falling & ~always)", "pack_words(falling & always)", "Conv_0",
        "BN sign: gamma < 0",
    ),
    Mutant(
        "pads as top, bottom, left, right", _INTEGERS, kernels.window_fields,
        '"pad_left": window.pads[1]', '"pad_left": window.pads[2]', "Conv_4",
        "the order of pads in ONNX",
    ),
    Mutant(
        "input handed over as NCHW", _POOLS, layout.Layout.pack,
        ".transpose(1, 2, 0)", ".reshape(chw(kind)[1], chw(kind)[2], -1)", "BatchNormalization_0",
        "a layout without repack",
    ),
    Mutant(
        "lifetimes one step short", _INTEGERS, plan.Buffer.meets,
        "self.first <= other.last and other.first <= self.last",
        "self.first < other.last and other.first < self.last", "Conv_0",
        "arena overlap of a step's input and output",
    ),
    Mutant(
        "lifetime of operands forgotten", _R2B, build._memory,
        "dict.fromkeys(call.reads, i)", "dict.fromkeys(call.chain[0].group.sources, i)", "Conv_4",
        "arena overlap: a skip ends before the step that adds it",
    ),
    Mutant(
        "short vectors in the place of the skip", _R2B, build._memory,
        'memory.offsets[owner[f"tensor {n}"]] for n in sizes',
        'memory.offsets[owner[f"tensor {n}"]] if sizes[n] != 16 else 1440 for n in sizes', "",
        "arena overlap of two live tensors that no step reads both of",
    ),
    Mutant(
        "result in the place of what is read again", _POOLS, build._takeovers,
        "-1 if free else len(group.tiles)", "-1", "Conv_1",
        "in place although the kernel is not pixelwise",
    ),
    Mutant(
        "pool in the place of what it reads again", "rows", in_place.trails,
        "written <= later[1:]", "written >= 0", "MaxPool_16",
        "in place although a later window reads a row above again",
    ),
    Mutant(
        "rows of a part one too few", "rows", stream._part,
        'f"part->{name}"', 'f"part->{name}" + " - 1" * (name == "in_height")', "Conv_0",
        "the last row that a part reads",
    ),
    Mutant(
        "difference not turned", _MOVES, select._link,
        'name in ("Sub", "Div") and node.inputs[0] != value', "False", "Conv_10",
        "fused into the second operand's step without exchanging the two",
    ),
    Mutant(
        "bits of the last value of a chain", _POOLS, select._tiles,
        "if node.inputs[0] == value:", "if i == len(group.chain) - 1:", "AveragePool_5",
        "a tap on the wrong value",
    ),
    Mutant(
        "constants of one shape shared", _R2B, constants.Constants.add,
        "array.tobytes())", "str(array.shape).encode())", "Conv_0",
        "a pool of constants that confuses slopes, biases and thresholds",
    ),
    Mutant(
        "BN offset lost", _R2B, assemble._arrays,
        "pack.floats(op.offset, channels)", "pack.floats(0 * op.offset, channels)", "Conv_4",
        "an offset taken for zero",
    ),
)  # fmt: skip

TO_TFLITE = (
    tflite(
        "bytes without an end", "quantised", emit_layers.emit_quant_conv,
        "LEVELS - op.zero_point)", "2 * LEVELS)", "Conv_2",
        "saturation",
    ),
    tflite(
        "shift of the wrong sign", _R2B, emit_binary.emit_step,
        "-direction * threshold", "direction * threshold", "t3~step",
        "polarity",
    ),
    tflite(
        "tie of a real flipped", _R2B, emit_binary.emit_step,
        "_shared(-direction * threshold + np.float32(0.0))",
        "_shared(np.nextafter(-direction * threshold, np.float32(-np.inf)))", "t3~step",
        "> for >=, where a tie is rare",
    ),
    tflite(
        "threshold that nothing crosses", _R2B, emit_binary.emit_step,
        "np.clip(op.threshold.astype(np.float32), -_LARGEST, _LARGEST)",
        "np.clip(op.threshold.astype(np.float32), -1e3, 1e3)", "t34~step",
        "a wrong threshold of a channel that is constant on every sample",
    ),
    tflite(
        "threshold of the first channel", _R2B, emit_binary._shared,
        "np.all(values == values[0])", "np.any(values == values[0])", "t3~step",
        "a constant that is taken to be the same everywhere",
    ),
    tflite(
        "taps of LceBconv2d transposed", _R2B, emit_binary.emit_binary_conv,
        "transpose(0, 2, 3, 1)", "transpose(0, 3, 2, 1)", "Conv_4",
        "weight order",
    ),
    tflite(
        "scales of the first group", _INTEGERS, emit_binary.emit_binary_conv,
        "scale[own]", "scale[: outputs // conv.groups]", "Conv_18",
        "groups ignored",
    ),
    tflite(
        "word of the border not masked", _INTEGERS, emit_binary._border,
        "fill=(1 << depth) - 1", "fill=-1", "Conv_4",
        "channel tail",
    ),
    tflite(
        "border of +1 read as 0", _POOLS, emit_binary._options,
        "conv.pad_value == 1", "conv.pad_value == 0", "Conv_9",
        "a wrong padding value",
    ),
    tflite(
        "correction of the border", _INTEGERS, emit_binary._border,
        "factor=value - 1", "factor=value + 1", "Conv_18",
        "the sign of a border's share",
    ),
    tflite(
        "SAME for torch's padding", _R2B, geometry._Axis.of,
        "same=same_before == before and same_outputs == outputs", "same=same_outputs == outputs",
        "Conv_18", "the stride offset of LCE's own converter",
    ),
    tflite(
        "PReLU slope shared", _R2B, emit_elementwise.emit_prelu,
        "channels(node.op.slope, kind.channels)", "channels(node.op.slope[:1], kind.channels)",
        "PRelu_13", "one slope for all channels",
    ),
    tflite(
        "affine without its offset", _POOLS, emit_elementwise.emit_channel_affine,
        'context.constant(f"{node.output}/offset", offset)',
        'context.constant(f"{node.output}/offset", 0 * offset)', "BatchNormalization_0",
        "an offset taken for zero",
    ),
    tflite(
        "ReLU6 without its 6", _POOLS, emit_elementwise.emit_clip,
        "(op.low, op.high)", "(op.low, np.inf)", "Clip_18",
        "a clip bound",
    ),
    tflite(
        "border wins a maximum", _POOLS, emit_pools.emit_max_pool,
        "window, padding, _LOWEST", "window, padding, 0.0", "MaxPool_3",
        "a wrong padding value",
    ),
    tflite(
        "count_include_pad ignored", _POOLS, emit_pools.emit_avg_pool,
        "allow_same=not op.count_include_pad", "allow_same=True", "AveragePool_5",
        "TFLite's divisor in place of ONNX's",
    ),
    tflite(
        "dense bias dropped", _R2B, emit_layers.emit_dense,
        "dense.bias", "0 * dense.bias", "Gemm_6",
        "an optional input left out",
    ),
    tflite(
        "depthwise taps transposed", _INTEGERS, emit_layers.emit_float_conv,
        "transpose(1, 2, 3, 0)", "transpose(1, 3, 2, 0)", "Conv_0",
        "weight order",
    ),
    tflite(
        "operands of a difference exchanged", _MOVES, emit_elementwise.emit_pairwise,
        "for name in node.inputs", "for name in node.inputs[::-1]", "Sub_12",
        "the order of an operator's inputs",
    ),
    tflite(
        "parts in another order", _MOVES, emit_moving.emit_concat,
        "for name in node.inputs", "for name in node.inputs[::-1]", "Concat_3",
        "channel order",
    ),
    tflite(
        "constants of one shape shared", _R2B, writer.Writer.constant,
        "(dtype, value.shape, buffer)",
        '(dtype, value.shape, 0 if dtype == "float32" else buffer)', "t3~step",
        "a pool of constants that confuses them",
    ),
)  # fmt: skip

SHARED = (
    graph(
        "bytes rounded down", "quantised", quantise,
        "np.rint(", "np.floor(", "Conv_2",
        "truncation for rounding",
    ),
    graph(
        "a reference with weights as trained", "camera", Reference.__init__,
        "if not as_trained:", "if as_trained:", "Conv_2",
        "rounding that would pass for exact",
    ),
    graph(
        "BatchNorm's mean of the wrong sign", _R2B, layers._batch_norm,
        "beta - mean * scale", "beta + mean * scale", "t3~step",
        "BN sign",
    ),
    graph(
        "direction of a flipped step", _INTEGERS, _takes,
        "op.pad_value == 0", "op.pad_value <= 0", "Conv_4",
        "a border that is not its own complement",
    ),
    graph(
        "weights not flipped with their step", _R2B, flip_steps,
        "np.where(falling, -1, 1)", "np.where(falling, 1, 1)", "Conv_4",
        "polarity",
    ),
    graph(
        "offset outside of the gate", _R2B, gate_scale,
        "affine.op.offset * scale", "affine.op.offset", "Conv_4~affine",
        "a scale that moved for the sums alone",
    ),
    graph(
        "bias not scaled by BatchNorm", _POOLS, _after,
        "_f32(op.bias * scale + offset))\n        case ops.Dense",
        "_f32(op.bias + offset))\n        case ops.Dense",
        "Conv_1", "a fold that forgets the bias",
    ),
    graph(
        "sum of the weights of {0, 1}", _INTEGERS, _rewrite,
        "bits.middle * weights.alpha * signs.sum(axis=(1, 2, 3)) + conv.bias", "0 * weights.alpha + conv.bias",
        "Conv_4",
        "activations that are not symmetric",
    ),
    graph(
        "border of {0, 1} activations", _INTEGERS, _rewrite,
        "(conv.pad_value - bits.middle) / bits.half", "conv.pad_value / bits.half", "Conv_4",
        "a wrong padding value",
    ),
)  # fmt: skip
