"""An export's folder, which is replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r2b_edge.errors import InputError
from r2b_edge.report.files import read

_CANNOT_WRITE = frozenset({
    errno.EACCES, errno.EBUSY, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS,
    errno.EXDEV,
})  # fmt: skip
"""What a folder, a mount point or a disk can be at fault for; any other OSError is a bug."""


@contextmanager
def replacing(out: Path, force: bool) -> Iterator[Path]:
    """A new folder that takes the place of `out` if the block ends well, and vanishes if not.

    Args:
        out: may be there if it is empty or an earlier export.
        force: or whatever it is.

    Raises:
        InputError: `out` may not be replaced, or cannot be written.
    """
    place = Path(os.path.abspath(out))  # "." has no name to put another folder beside
    staging = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    old = place.parent / f"{staging.name}.old"
    try:
        _check_replaceable(out, force)
        place.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from error
    try:
        yield staging
        _swap(staging, place, old)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise InputError(f"cannot write {out}: {error.strerror}") from error
    finally:
        for rest in (staging, old):
            shutil.rmtree(rest, ignore_errors=True)


def _swap(staging: Path, out: Path, old: Path) -> None:
    """Put `staging` in the place of `out`, which moves to `old`; an interruption leaves one of them there, whole."""
    try:
        if out.exists():
            out.rename(old)
        staging.rename(out)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)


def _check_replaceable(out: Path, force: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise InputError(f"{out} exists and is not a folder", "choose another with -o")
    if force or not any(out.iterdir()):
        return
    try:
        read(out / "report.json")
    except InputError:
        raise InputError(
            f"{out} is not an earlier export",
            "choose another folder with -o, or replace it with --force",
        ) from None
