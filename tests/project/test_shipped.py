"""What is shipped holds no path of the machine that made it, also inside archives."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# An absolute path into a person's home or working folder; what stands before it tells it from a URL
# and from a relative path. Tests that need an example of one write /home/somebody.
MACHINE_PATH = re.compile(
    rb"(?<![\w.~}])/(?:root|home(?!/somebody/)|work|Users|builds|workspace|tmp)/[\w.][^\s\"'<>\0]*"
)
# Files that name such a path on purpose: this one, in the samples that its own test needs.
ALLOWED = {"tests/project/test_shipped.py"}


def shipped_files() -> list[str]:
    """Paths of all files that are, or are about to be, under version control."""
    # On a continuous integration machine the owner may be another: git is told to trust the folder.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    names = (name.decode() for name in done.stdout.split(b"\0") if name)
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def machine_paths(data: bytes, where: str) -> Iterator[str]:
    """Machine paths in a file's bytes; in a zip (.pt2, .npz), in its members' names and bytes."""
    for match in MACHINE_PATH.finditer(data):
        yield f"{where}: {match.group()[:80].decode(errors='replace')}"
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from machine_paths(f" {member}".encode(), f"{where} (a member's name)")
                yield from machine_paths(archive.read(member), f"{where}!{member}")


def test_no_shipped_file_holds_a_machine_path() -> None:
    files = shipped_files()
    assert "pyproject.toml" in files
    found = [
        line
        for name in files
        if name not in ALLOWED
        for line in machine_paths((ROOT / name).read_bytes(), name)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["see /home/ann/net.py", 'File "/root/x.py"', "\0/work/main/a", "=/Users/b/c"]
)
def test_a_machine_path_is_found(text: str) -> None:
    assert len(list(machine_paths(text.encode(), "x"))) == 1


def test_a_machine_path_is_found_inside_nested_archives() -> None:
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stack.json", '{"file": "/home/ann/train.py"}' * 9)
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pt2", inner.getvalue())
    found = list(machine_paths(outer.getvalue(), "x.zip"))
    assert found
    assert found[0].startswith("x.zip!model.pt2!stack.json: /home/ann/train.py")


@pytest.mark.parametrize(
    "text",
    [
        "https://a.org/home/x",
        "examples/work/x",
        "../tmp/x",
        "{build}/tmp/x",
        "/usr/bin/x",
        "/home/somebody/x",
    ],
)
def test_other_paths_pass(text: str) -> None:
    assert list(machine_paths(text.encode(), "x")) == []
