"""What an op is: attributes and constants, a shape rule and a numpy reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array, TensorType

Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Op:
    """Base of all ops. Subclasses are frozen dataclasses whose array fields are the op's constants."""

    def infer(self, *inputs: TensorType) -> TensorType:
        """Type of the output from the types of the inputs."""
        raise TypeError(f"{type(self).__name__} has no shape rule")

    def reference(self, *inputs: Array) -> Array:
        """The op's meaning, in numpy, for any batch size."""
        raise TypeError(f"{type(self).__name__} has no reference")

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        """Functions of the inputs whose sign changes where the op is not smooth.

        For elementwise ops only; the probe bisects them to find every breakpoint of a cone.
        """
        return ()

    def macs(self, *inputs: TensorType) -> int:
        """Multiply-accumulates for one sample, padding counted; 0 where the term does not apply."""
        return 0

    def constants(self) -> dict[str, Array]:
        """The arrays that a backend must store."""
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: value for name, value in pairs if isinstance(value, np.ndarray)}

    @property
    def elementwise(self) -> bool:
        """Each output value depends on the input values at the same place (channels may have own constants)."""
        return False


def per_channel(values: Array, like: Array) -> Array:
    """Reshape [C] (or a scalar array) so that it broadcasts along axis 1 of `like`; a map [C, H, W] stays one."""
    if values.ndim == 3:
        return values
    return (
        values.reshape((1, -1) + (1,) * (like.ndim - 2))
        if values.size > 1
        else values.reshape(-1)[0]
    )
