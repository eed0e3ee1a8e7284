"""The typed report, schema 1: what `report.json` holds, and what every other form is made from.

Units are in the names: `_bytes` are bytes, `macs` multiply-accumulates of one inference of one sample,
`instructions` instructions retired by one inference, `ns` nanoseconds. An unknown figure is None, never 0,
and a figure that can be had in several ways says how it was had (`*_kind`).

The objects are frozen. `Report.revised(check=...)` gives a changed copy, validated like a new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA: Literal[1] = 1
DEFAULT_TOLERANCE = 1e-5
"""The tolerance and rounding margin of an exact step, relative to max(|reference|, max|tensor|)."""

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Real = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Shape = tuple[Count, ...]

Kind = Literal["linked", "painted stack", "stack usage", "by sum", "estimate"]
Part = Literal["stem", "binary", "gate", "downsample", "classifier", "norm", "other"]
SpeedKind = Literal["device", "host", "emulated", "emulated instructions"]


class Strict(BaseModel):
    """What all parts of a report share: unknown keys are refused, and nothing changes once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Tool(Strict):
    """Who wrote the report."""

    name: str
    version: str


class TensorInfo(Strict):
    """An input or output of the model, in the model's own layout."""

    name: str
    shape: Shape
    dtype: str


class Model(Strict):
    """The model that was exported.

    `file` is a name without a folder; `form` is what it was told to be (`pt2`, `onnx`, ...).
    """

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    form: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    binary_macs: Count
    float_macs: Count
    binary_weights: Count
    float_weights: Count


class Memory(Strict):
    """Sizes of the whole network.

    `float32_weight_bytes` counts every parameter as trained, `weight_bytes` every constant of the C runtime.
    `weight_saving` is their ratio; it is filled in where it is left out. `arena_bytes` is the planned arena,
    `arena_bound_bytes` the least that any plan needs, `float32_arena_bytes` the least for the same net in float32.
    `ram_bytes` is the peak: arena, stack and the runtime's own data.
    """

    float32_weight_bytes: Count
    weight_bytes: Count | None = None
    weight_saving: Real | None = None
    tflite_bytes: Count | None = None
    flash_bytes: Count | None = None
    flash_kind: Kind | None = None
    ram_bytes: Count | None = None
    ram_kind: Kind | None = None
    arena_bytes: Count | None = None
    arena_bound_bytes: Count | None = None
    stack_bytes: Count | None = None
    stack_kind: Kind | None = None
    float32_arena_bytes: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_saving(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "weight_saving" in data:
            return data
        return {**data, "weight_saving": _ratio(data)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for figure in ("flash", "ram", "stack"):
            known = getattr(self, f"{figure}_bytes") is not None
            if known != (getattr(self, f"{figure}_kind") is not None):
                raise ValueError(f"{figure}_bytes and {figure}_kind must be given together")
        ratio = _ratio(self.__dict__)
        same = self.weight_saving == ratio or (
            self.weight_saving is not None
            and ratio is not None
            and abs(self.weight_saving - ratio) <= 1e-9 * ratio
        )
        if not same:
            raise ValueError(f"weight_saving is {self.weight_saving}, the bytes give {ratio}")
        return self


class Layer(Strict):
    """A layer of the network as its author knows it, with all the steps that it became.

    Args:
        weight_bytes: all constants of its steps in the C runtime.
        float_bytes: how many of `weight_bytes` hold floats. None: all of them in a float layer, none of them in a
            binary layer.
        float32_bytes: what its parameters take in float32, as trained.
        instructions: sum over its steps, table building, padding, packing and repacking included.
        reason: why a layer is in float; None for binary ones.
        suspect: it is in float although its input is binary: probably meant to be binary.
    """

    name: str
    kind: str
    binary: bool
    macs: Count
    weight_bytes: Count | None
    output_shape: Shape
    steps: tuple[Count, ...]
    instructions: Count | None = None
    ns: Real | None = None
    float_bytes: Count | None = None
    float32_bytes: Count | None = None
    part: Part | None = None
    reason: str | None = None
    suspect: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.float_bytes is not None and self.float_bytes > (self.weight_bytes or 0):
            raise ValueError(
                f"layer {self.name!r}: {self.float_bytes} float bytes of {self.weight_bytes}"
            )
        return self


class Step(Strict):
    """One kernel call of the C runtime, with its fused epilogue.

    `layer` is None for a step that serves no layer (an input's transposition). `exact` is None until checked.
    """

    index: Count
    kernel: str
    layer: str | None
    instructions: Count | None = None
    ns: Real | None = None
    exact: bool | None = None


class TensorCheck(Strict):
    """How one output tensor of one step was compared with the reference, over all samples.

    Args:
        step: index of the executor's step, counted from 0.
        tensor: its name in the reference (model.onnx).
        rule: what was compared.
        tolerance: `floats`: the greatest allowed |d| / max(|ref|, max|tensor|); `bits`: the rounding margin around the
            threshold, relative to max|tensor|; `integers`: 0, they must be equal.
        max_abs_error: None where an output is not finite, and for bits.
        margin_ties: bits that differ inside of the rounding margin.
        note: why the tolerance is a wider one, and how many values the reference does not show.
    """

    step: Count
    tensor: str
    rule: Literal["bits", "integers", "floats"]
    tolerance: Real
    exact: bool
    max_abs_error: Real | None = None
    margin_ties: Count = 0
    note: str | None = None


class ExecutorCheck(Strict):
    """One executor against the reference.

    `top1_agreement` counts the samples whose greatest output is the reference's (None where the model does not
    classify); `accuracy` is the fraction of right labels, None without labels; `max_abs_error` is that of the
    model's outputs, end to end, None where an output is not finite. `faults` says what is wrong with the whole run
    although its steps are exact.
    """

    steps: Count
    steps_exact: Count
    samples: Count
    top1_agreement: Count | None
    accuracy: Fraction | None
    max_abs_error: Real | None
    margin_ties: Count
    faults: tuple[str, ...] = ()
    tensors: tuple[TensorCheck, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.steps_exact > self.steps:
            raise ValueError(f"{self.steps_exact} exact steps of {self.steps}")
        if self.top1_agreement is not None and self.top1_agreement > self.samples:
            raise ValueError(f"{self.top1_agreement} of {self.samples} samples agree")
        return self

    @property
    def exact(self) -> bool:
        """True if there was something to compare, every step is exact, and the whole run is without fault."""
        compared = self.steps > 0 and self.samples > 0
        return compared and self.steps_exact == self.steps and not self.faults


class Skipped(Strict):
    """An executor that did not run, and why."""

    skipped: str


Executor = ExecutorCheck | Skipped


class Executors(Strict):
    """The three executors, in the order in which the model reaches them."""

    graph: Executor
    tflite: Executor
    c: Executor

    def items(self) -> tuple[tuple[str, Executor], ...]:
        """Name and result of each."""
        return (("graph", self.graph), ("tflite", self.tflite), ("c", self.c))


class FlippedBits(Strict):
    """How many values of a tensor of bits (its name in model.onnx) differ, over all samples."""

    tensor: str
    flipped: Count
    of: Count


class Effect(Strict):
    """What rounded weights change, end to end: the reference of the check against model.onnx as trained.

    `top1_agreement` counts the samples on which both give the same class, `accuracy` is that of the network as trained;
    `max_abs_error` is the greatest difference of an output, None where one is not finite, `largest_output` the greatest
    magnitude of an output as trained; `bits` are in execution order.
    """

    samples: Count
    top1_agreement: Count | None
    accuracy: Fraction | None
    max_abs_error: Real | None
    largest_output: Real
    bits: tuple[FlippedBits, ...] = ()


class Check(Strict):
    """The result of `r2b-edge check`.

    `reference_accuracy` is that of the reference on the same samples, None without labels. `effect` is None where the
    reference is model.onnx as trained.
    """

    executors: Executors
    reference_accuracy: Fraction | None = None
    effect: Effect | None = None


class Speed(Strict):
    """One measurement of whole inferences; instructions on several threads are those of each step's busiest, summed."""

    kind: SpeedKind
    device: str
    unit: Literal["ns", "instructions", "cycles"]
    threads: Count
    runs: Count
    min: Real
    median: Real
    p95: Real


class Instructions(Strict):
    """Instructions of one inference: `total` = sum over the steps + `overhead`, as counted by `counter`."""

    total: Count
    overhead: Count
    counter: str


class Build(Strict):
    """What built the program that the figures are of."""

    compiler: str
    flags: tuple[str, ...] = ()


class Report(Strict):
    """All that is known about one export; see the module's docstring."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    tool: Tool
    target: str
    target_core: str | None = None
    model: Model
    memory: Memory
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    check: Check | None = None
    speed: tuple[Speed, ...] = ()
    instructions: Instructions | None = None
    build: Build | None = None
    options: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if [step.index for step in self.steps] != list(range(len(self.steps))):
            raise ValueError("steps must be numbered from 0 in their order")
        names = {layer.name for layer in self.layers}
        for step in self.steps:
            if step.layer is not None and step.layer not in names:
                raise ValueError(f"step {step.index} names an unknown layer {step.layer!r}")
        for layer in self.layers:
            if any(index >= len(self.steps) for index in layer.steps):
                raise ValueError(f"layer {layer.name!r} names a step that is not there")
            if any(self.steps[index].layer != layer.name for index in layer.steps):
                raise ValueError(f"layer {layer.name!r} claims another layer's step")
            if layer.instructions != _sum(self.steps[index].instructions for index in layer.steps):
                raise ValueError(
                    f"layer {layer.name!r}: its instructions are not the sum of its steps'"
                )
        counted = _sum(step.instructions for step in self.steps)
        if self.instructions is not None and (
            counted is None or self.instructions.total != counted + self.instructions.overhead
        ):
            raise ValueError("instructions: total is not the sum over the steps plus the overhead")
        return self

    def revised(self, **changes: Any) -> Report:
        """A copy with some fields replaced, validated as a whole.

        Raises:
            pydantic.ValidationError: the new fields do not fit to the others.
        """
        return Report.model_validate({**dict(self), **changes})

    def to_json(self) -> str:
        """The text of report.json: keys in declared order, ASCII only, the same for the same report."""
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _ratio(memory: dict[str, Any]) -> float | None:
    trained, stored = memory.get("float32_weight_bytes"), memory.get("weight_bytes")
    if not isinstance(trained, int) or not isinstance(stored, int) or stored <= 0:
        return None
    return trained / stored


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum, or None if there is nothing to add or one of the counts is unknown."""
    every = list(counts)
    known = [count for count in every if count is not None]
    return sum(known) if known and len(known) == len(every) else None
