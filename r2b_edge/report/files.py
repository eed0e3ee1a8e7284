"""report.json and report.html on disk: read with suspicion, written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from r2b_edge.errors import InputError
from r2b_edge.report.html import to_html
from r2b_edge.report.model import SCHEMA, Report
from r2b_edge.report.text import printable

JSON_NAME = "report.json"
HTML_NAME = "report.html"
_MAX_BYTES = 64 << 20
_AGAIN = "export the model again"


def read(path: str | os.PathLike[str]) -> Report:
    """Read a report.

    Args:
        path: a report.json, or the folder of an export that holds one.

    Raises:
        InputError: it cannot be read, is damaged, or was not written by a version that this one understands.
    """
    file = Path(path)
    if file.is_dir():
        file = file / JSON_NAME
    shown = printable(str(file))
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {shown}: {error.strerror}", _AGAIN) from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{shown} is not a report: it is larger than {_MAX_BYTES >> 20} MiB")
    try:
        return Report.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise InputError(f"{shown} is {_first_fault(error)}", _AGAIN) from error


def write(report: Report, folder: str | os.PathLike[str]) -> None:
    """Write report.json and report.html into an existing folder; each replaces its forerunner in one move.

    Nothing is replaced before both are on the disk.

    Raises:
        InputError: the folder cannot be written to.
    """
    # The page first: when report.json is new, all is.
    contents = {HTML_NAME: to_html(report), JSON_NAME: report.to_json()}
    temporary: dict[Path, Path] = {}
    try:
        for name, text in contents.items():
            # Not tempfile: its files are readable by their owner only, and os.replace keeps that.
            scratch = Path(folder) / f".{name}.{secrets.token_hex(8)}"
            temporary[scratch] = Path(folder) / name
            with scratch.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        for scratch, final in temporary.items():
            os.replace(scratch, final)
    except OSError as error:
        shown = printable(str(folder))
        raise InputError(f"cannot write the report into {shown}: {error.strerror}") from error
    finally:
        for scratch in temporary:
            with contextlib.suppress(OSError):  # moved, or never made
                scratch.unlink()


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(key) for key in fault["loc"])
    what = printable(fault["msg"])
    if fault["type"] == "json_invalid":
        return f"damaged: {what}"
    if where == "schema":
        return f"not a report of schema {SCHEMA}, the only one that this version reads"
    return f"not a report: {printable(where)}: {what}" if where else f"not a report: {what}"
