"""What every way to run a built program offers: a Device opens a Session with one program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Protocol, Self

from r2b_edge.runners.protocol import Info, Timing


class Channel(Protocol):
    """A byte stream to a running program. `deadline` is a time.monotonic() in seconds.

    Both methods raise DeviceError where the program has ended or the deadline has passed.
    """

    def write(self, data: bytes, deadline: float) -> None:
        """Send all of `data`; what the program says meanwhile is kept for `read`."""

    def read(self, deadline: float) -> bytes:
        """At least one byte that the program has sent."""

    def close(self) -> None:
        """End the program, if it has not ended by itself; never raises."""


class Session(ABC):
    """One running program that serves one model; to be closed, best by `with`.

    Tensors are given and returned as the bytes that lie in the arena: dtype and layout of r2b.h's tensor
    table. Every method raises DeviceError when the program crashes, hangs or answers nonsense.
    """

    @abstractmethod
    def info(self) -> Info:
        """What the program tells about its model; asked once."""

    @abstractmethod
    def load(self, tensor: int, data: bytes) -> None:
        """Write tensor number `tensor`; `data` has its exact size, else ValueError."""

    @abstractmethod
    def fill(self, byte: int) -> None:
        """Write `byte`, 0 to 255, to every byte of the arena."""

    @abstractmethod
    def threads(self, count: int) -> None:
        """Run steps on so many threads from now on, 1 to 256; DeviceError where the program cannot."""

    @abstractmethod
    def run(self, first: int, last: int) -> Timing:
        """Run the steps first..last, both included; what each took, where the program can count it."""

    @abstractmethod
    def run_marked(self, first: int, last: int) -> None:
        """Run them with r2b_marker called twice before the first and once after each, untimed."""

    @abstractmethod
    def read(self, tensor: int) -> bytes:
        """The bytes of tensor number `tensor`."""

    @abstractmethod
    def stack(self) -> int:
        """Peak stack of one whole run in bytes; overwrites the arena."""

    @abstractmethod
    def close(self) -> None:
        """End the program; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Device(ABC):
    """Something that programs run on.

    Attributes:
        kind: the kind of every figure from here: real time of this machine, or of an emulator.
        name: for reports.
    """

    kind: ClassVar[Literal["host", "emulated"]]
    name: str

    @abstractmethod
    def open(self, program: Path) -> Session:
        """Start a runner program.

        Raises:
            DeviceError: it cannot be started.
        """
