"""A local process as a Channel: the program talks over its standard input and output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from r2b_edge.errors import DeviceError
from r2b_edge.wording import printable

_CHUNK = 1 << 16
_GRACE_S = 2.0


class ProcessChannel:
    """Starts a command and keeps its pipes; the process is always ended and waited for by `close`.

    Args:
        argv: the command, never through a shell.
        cwd: where it starts; None for here.

    Raises:
        DeviceError: it cannot be started.
    """

    def __init__(self, argv: Sequence[str | Path], cwd: Path | None = None) -> None:
        self._name = Path(argv[-1]).name
        self._inbox = bytearray()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                cwd=cwd,
            )
        except OSError as error:
            self._stderr.close()
            raise DeviceError(f"{argv[0]} cannot be started: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)

    def write(self, data: bytes, deadline: float) -> None:
        """See Channel: reads while it writes, so that two full pipes never wait for each other."""
        left = memoryview(data)
        with selectors.DefaultSelector() as ready:
            ready.register(self._in, selectors.EVENT_WRITE)
            ready.register(self._out, selectors.EVENT_READ)
            while left:
                for key, _ in self._wait(ready, deadline):
                    if key.fileobj is self._out:
                        self._inbox += self._receive()
                    else:
                        left = left[self._send(left) :]

    def read(self, deadline: float) -> bytes:
        """See Channel."""
        if not self._inbox:
            with selectors.DefaultSelector() as ready:
                ready.register(self._out, selectors.EVENT_READ)
                self._wait(ready, deadline)
            self._inbox += self._receive()
        data = bytes(self._inbox)
        self._inbox.clear()
        return data

    def wait(self, deadline: float) -> None:
        """Wait for the program to end by itself.

        Raises:
            DeviceError: it does not, or ends with another status than 0.
        """
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise DeviceError(f"{self._name} does not end") from None
        if status != 0:
            raise self._ended()

    def close(self) -> None:
        """End the process: by the end of its input, else by force; always waits for it."""
        try:
            for pipe in (self._in, self._out):
                with contextlib.suppress(OSError):
                    pipe.close()
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._stderr.close()

    def _wait(
        self, ready: selectors.BaseSelector, deadline: float
    ) -> list[tuple[selectors.SelectorKey, int]]:
        events = ready.select(max(0.0, deadline - time.monotonic()))
        if not events:
            raise DeviceError(f"{self._name} did not answer in time{self._last_words()}")
        return events

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._in.fileno(), data[:_CHUNK])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._ended() from error

    def _receive(self) -> bytes:
        try:
            data = os.read(self._out.fileno(), 16 * _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise self._ended()
        return data

    def _ended(self) -> DeviceError:
        try:
            status = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return DeviceError(f"{self._name} closed its output{self._last_words()}")
        how = (
            f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
        )
        return DeviceError(f"{self._name} {how}{self._last_words()}")

    def _last_words(self) -> str:
        """What standard error says last (or what a sanitizer or QEMU calls fatal) behind ": "; "" for nothing."""
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 4096))
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        texts = [printable(line.strip()) for line in lines]
        summary = (text for text in texts if text.startswith(("SUMMARY:", "qemu: fatal:")))
        last = next(summary, next((text for text in reversed(texts) if text), ""))
        return f": {last}" if last else ""
