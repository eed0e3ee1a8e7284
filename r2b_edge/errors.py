"""Every error a user can cause or meet, each with the exit code that the command line ends with.

A user's mistake is one of these and prints as one line: what, where, what to do. Anything else that is
raised is a bug of ours and keeps its traceback (exit 70).
"""

from __future__ import annotations

from typing import ClassVar


class R2BError(Exception):
    """Base of all errors that are reported in one line.

    Args:
        message: what is wrong and where, one sentence.
        hint: what would help, or "" where nothing does.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class MismatchError(R2BError):
    """An executor differs from the reference, or a figure is over its budget."""

    exit_code = 1


class InputError(R2BError):
    """Wrong usage; an unreadable, damaged or hostile input; an output that cannot be written."""

    exit_code = 2


class UnsupportedError(R2BError):
    """The model holds something that the tool does not support: names the node, the reason, the help."""

    exit_code = 3


class DeviceError(R2BError):
    """A device or an emulator failed, or answered nonsense."""

    exit_code = 4


class ToolMissingError(R2BError):
    """A compiler, an emulator or a package is not installed: names what to install."""

    exit_code = 5
