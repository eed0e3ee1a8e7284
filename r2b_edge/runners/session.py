"""A Session over any byte stream: the tool's end of the protocol."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import replace

from r2b_edge.errors import DeviceError
from r2b_edge.runners import protocol
from r2b_edge.runners.base import Channel, Session
from r2b_edge.runners.protocol import Frame, Info, Op, Timing

MAX_NOISE = 1 << 20  # a program that has said this much and no frame speaks something else


class StreamSession(Session):
    """Asks one request after the other over a Channel.

    Args:
        channel: the stream; the session closes it.
        time_limit_s: for one request, seconds.
    """

    def __init__(self, channel: Channel, time_limit_s: float) -> None:
        self._channel = channel
        self._time_limit_s = time_limit_s
        self._decoder = protocol.Decoder()
        # A board may still be answering somebody who has gone: that must not be taken for an answer to us.
        self._tags = itertools.count(secrets.randbits(31))
        self._info: Info | None = None
        self._closed = False

    def info(self) -> Info:
        """See Session."""
        if self._info is None:
            self._info = protocol.decode_info(self._ask(Frame(Op.INFO)))
        return self._info

    def load(self, tensor: int, data: bytes) -> None:
        """See Session."""
        if len(data) != self._size(tensor):
            raise ValueError(
                f"tensor {tensor} has {self._size(tensor)} bytes, {len(data)} were given"
            )
        self._ask(Frame(Op.LOAD, a=tensor, payload=data))

    def fill(self, byte: int) -> None:
        """See Session."""
        self._ask(Frame(Op.FILL, a=byte))

    def threads(self, count: int) -> None:
        """See Session."""
        self._ask(Frame(Op.THREADS, a=count))

    def run(self, first: int, last: int) -> Timing:
        """See Session."""
        count = self._count(first, last)
        return protocol.decode_timing(self._ask(Frame(Op.RUN, a=first, b=last)), count)

    def run_marked(self, first: int, last: int) -> None:
        """See Session."""
        self._count(first, last)
        self._ask(Frame(Op.RUN, code=protocol.FLAG_MARK, a=first, b=last))

    def read(self, tensor: int) -> bytes:
        """See Session."""
        size = self._size(tensor)
        answer = self._ask(Frame(Op.READ, a=tensor))
        if len(answer) != size:
            raise DeviceError(
                f"the program sent {len(answer)} bytes of tensor {tensor}, which has {size}"
            )
        return answer

    def stack(self) -> int:
        """See Session."""
        answer = self._ask(Frame(Op.STACK))
        if len(answer) != 8:
            raise DeviceError(f"the program answered STACK with {len(answer)} bytes")
        return int.from_bytes(answer, "little")

    def quit(self) -> None:
        """Ask the program to end by itself, so that whatever watches it can finish its work."""
        self._ask(Frame(Op.QUIT))

    def close(self) -> None:
        """See Session."""
        if not self._closed:
            self._closed = True
            self._channel.close()

    def _size(self, tensor: int) -> int:
        sizes = self.info().tensor_bytes
        if not 0 <= tensor < len(sizes):
            raise ValueError(f"tensor {tensor} of {len(sizes)}")
        return sizes[tensor]

    def _count(self, first: int, last: int) -> int:
        if not 0 <= first <= last < self.info().steps:
            raise ValueError(f"steps {first}..{last} of {self.info().steps}")
        return last - first + 1

    def _ask(self, request: Frame) -> bytes:
        deadline = time.monotonic() + self._time_limit_s
        request = replace(request, tag=next(self._tags) & 0xFFFFFFFF)
        self._channel.write(protocol.encode(request), deadline)
        while True:
            frames = self._decoder.feed(self._channel.read(deadline))
            ours = [frame for frame in frames if frame.tag == request.tag]
            if len(ours) > 1:
                raise DeviceError(f"the program answered one request with {len(ours)} replies")
            if ours:
                return protocol.check_reply(request, ours[0])
            if words := self._decoder.words():
                raise DeviceError(f"the firmware stopped: {words}")
            if self._decoder.noise > MAX_NOISE:
                raise DeviceError("the program answers, but not in the runner's protocol")
