"""A stranger's zip archive, looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from r2b_edge.errors import InputError

MAX_MEMBERS = 200_000
MAX_NAME = 1024
# torch stores members uncompressed; a checkpoint zipped again by hand still shrinks less than this.
MAX_RATIO = 20
SLACK_BYTES = 1 << 20
_END_BYTES = 22  # the end-of-directory record without a comment


def inspect_zip(path: Path, file: BinaryIO) -> zipfile.ZipFile:
    """Open an archive whose members have sane names and sizes and intact checksums.

    The declared sizes, which bound what a reader unpacks, sum up to MAX_RATIO times the file at
    most.

    Raises:
        InputError: truncated, damaged, a zip bomb, or members named to land elsewhere.
    """
    size = file.seek(0, 2)
    file.seek(0)
    # The directory must end the file: elsewhere Python finds that of an archive stored within, such
    # as the sample inputs of a .pt2 that was cut off.
    file.seek(max(0, size - _END_BYTES))
    if not file.read(_END_BYTES).startswith(b"PK\x05\x06"):
        raise InputError(f"{path} is a damaged or truncated zip archive: its directory is missing")
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise InputError(f"{path} is a damaged or truncated zip archive: {error}") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path} is refused: {len(members)} files in one archive")
    if members and min(member.header_offset for member in members) != 0:
        raise InputError(f"{path} is a damaged zip archive: it does not begin with its first file")
    names = set()
    for member in members:
        name = member.filename
        if _is_absurd(member.orig_filename) or name in names:
            raise InputError(f"{path} is refused: it holds a file named {name[:60]!a}")
        if member.flag_bits & 1:
            raise InputError(f"{path} is encrypted", "save it without a password")
        names.add(name)
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_RATIO * size + SLACK_BYTES:
        raise InputError(f"{path} is refused: {size} bytes unpack to {unpacked}, a zip bomb")
    try:
        damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise InputError(f"{path} is a damaged or truncated zip archive: {error}") from error
    if damaged is not None:
        raise InputError(f"{path} is damaged: the checksum of {damaged[:60]!a} is wrong")
    return archive


def _is_absurd(name: str) -> bool:
    return (
        not name
        or len(name) > MAX_NAME
        or name.startswith("/")
        or "\\" in name
        or not name.isprintable()
        or ".." in name.split("/")
        or ":" in name.split("/")[0]
    )


def strip_root(names: list[str]) -> dict[str, str]:
    """Member names without the one folder that torch puts around them, mapped to the full names."""
    roots = {name.split("/", 1)[0] for name in names if "/" in name}
    nested = all("/" in name for name in names)
    if len(roots) == 1 and nested:
        return {name.split("/", 1)[1]: name for name in names}
    return {name: name for name in names}


def read_member(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    """A member's bytes.

    Raises:
        InputError: it is larger than `limit`.
    """
    if archive.getinfo(name).file_size > limit:
        raise InputError(f"{path} is refused: its {name[:60]!a} is larger than {limit} bytes")
    return archive.read(name)
