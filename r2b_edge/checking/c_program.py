"""The C program as an executor: on the host, in an emulator or on a board, through a runner's session."""

from __future__ import annotations

import numpy as np

from r2b_edge.checking.executor import ExecutorStep, Values
from r2b_edge.errors import InputError
from r2b_edge.exporters.c import Program, ProgramTensor
from r2b_edge.graph.graph import Array
from r2b_edge.runners import Session

POISON = 0xFF
"""Fills the arena before every run: as a float32 NaN, as bits -1 and some beyond the last channel."""


class CExecutor:
    """Runs the program that `session` serves.

    Nothing lies in the arena but the inputs given, and poison: what a step leaves unwritten, or reads beside its
    inputs, does not look right by chance.

    Raises:
        InputError: the session serves another program than `program`.
    """

    def __init__(self, program: Program, session: Session) -> None:
        self.program = program
        self.session = session
        info = session.info()
        if info.hash != program.hash or info.steps != len(program.steps):
            raise InputError(
                "the C program is not the one of this export's model.onnx", "export again"
            )
        self.steps = tuple(
            ExecutorStep(step.nodes, self._values(step.inputs), self._values(step.outputs))
            for step in program.steps
        )

    def _values(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.program.tensor[name].value for name in names)

    def run_step(self, index: int, inputs: Values) -> Values:
        """See Executor."""
        step = self.program.steps[index]
        self.session.fill(POISON)
        self._load(step.inputs, inputs)
        self.session.run(index, index)
        return self._read(step.outputs)

    def run(self, inputs: Values) -> Values:
        """See Executor."""
        self.session.fill(POISON)
        self._load(self.program.inputs, inputs)
        self.session.run(0, len(self.program.steps) - 1)
        return self._read(self.program.outputs)

    def _load(self, names: tuple[str, ...], values: Values) -> None:
        for name in names:
            tensor = self.program.tensor[name]
            self.session.load(tensor.index, tensor.pack(values[tensor.value]))

    def _read(self, names: tuple[str, ...]) -> Values:
        tensors = [self.program.tensor[name] for name in names]
        return {t.value: _value(t, self.session.read(t.index)) for t in tensors}


def _value(tensor: ProgramTensor, data: bytes) -> Array:
    """What a tensor's bytes stand for: 0, which is no bit, in all of it where bits beyond its last channel are set."""
    value = tensor.unpack(data)
    if tensor.type.dtype == "bits" and tensor.pack(value) != data:
        return np.zeros_like(value)
    return value
