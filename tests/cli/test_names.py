"""Names that a stranger chose, of nodes, tensors and files, do no harm in C, CMake, HTML, JSON or on a terminal."""

from __future__ import annotations

import html.parser
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from cli_nets import Names, binary_net, contents, fault, run, save

MARK = "marked"
AWKWARD = (
    f'*/ int evil; /* \n#include "evil.h"\n<script>alert(1)</script>&lt;b&gt; $(touch {MARK}) `touch {MARK}` "; '
    f"'); {{{{7*7}}}} {{% raw %}} ${{CMAKE_C_COMPILER}} @evil@ \\\n ??/ %s%n [link=x]y[/link] \x1b[31m\x07\r\b"
    " \u202e\u2028\u0085 \ud7ff ../../etc \N{PILE OF POO}"
)
PLAIN = set(range(0x20, 0x7F)) | {ord("\n")}


class Page(html.parser.HTMLParser):
    """What a browser would find in a page: its elements, and its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in which anything that ran would leave its mark."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def harmless(text: str) -> bool:
    """Nothing that a terminal obeys."""
    return all(character.isprintable() or character == "\n" for character in text)


def test_names_of_nodes_and_tensors(here: Path, exported: Path) -> None:
    """All names are awkward; c/ compiles without a warning all the same, and the check is exact."""
    save(binary_net(Names(AWKWARD + "x" * 3000)), here / "net.onnx")
    result = run("export", "net.onnx", "-t", "host", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert harmless(result.stdout)
    assert harmless(result.stderr)
    out = here / "out"
    sources = contents(out / "c")
    for name, data in sources.items():
        assert set(data) <= PLAIN, name
    mentions = [name for name, data in sources.items() if b"int evil" in data]
    assert mentions
    for name in mentions:  # cleaned, in a comment of one line
        lines = [line for line in sources[name].splitlines() if b"int evil" in line]
        bad = (b"*/", b"<script", b"$(", b"`touch", b"??/")
        assert not [line for line in lines if any(raw in line for raw in bad)], name
        if name.endswith((".c", ".h")):
            assert all(b"//" in line.partition(b"int evil")[0] for line in lines), name
    page = (out / "report.html").read_text()
    ours = Page((exported / "report.html").read_text())
    assert Page(page).tags <= ours.tags
    assert Page(page).attributes <= ours.attributes
    assert "script" not in Page(page).tags
    assert all(c.isprintable() or c == "\n" for c in page)

    result = run("check", out)
    assert result.exit_code == 0, result.stderr
    assert harmless(result.stdout)
    report = json.loads((out / "report.json").read_text())
    assert AWKWARD in report["layers"][0]["name"]  # as it is: JSON escapes it
    assert set((out / "report.json").read_bytes()) <= PLAIN
    assert sorted(path.name for path in here.iterdir()) == ["net.onnx", "out"]


def test_an_awkward_name_in_a_message(here: Path) -> None:
    model = binary_net(Names(AWKWARD), binary=False)
    result = run("export", save(model, here / "net.onnx"), "-t", "host", "-o", "out")
    assert result.exit_code == 3
    assert len(fault(result)) < 1000
    model = binary_net(Names(AWKWARD + "x" * 5000))
    del model.graph.initializer[0]
    result = run("export", save(model, here / "net.onnx"), "-t", "host", "-o", "out")
    assert result.exit_code == 2
    assert len(fault(result)) < 1000


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (f"a b;$(touch {MARK})`touch {MARK}`.onnx", "a_b_touch_marked_touch_marked"),
        ("<script>\"'\u202e\n\x1b[31m.onnx", "script_31m"),
        ("-x.onnx", "x"),
        ("7.onnx", "m_7"),
        ("stdio.onnx", "m_stdio"),
        ("\u6a21\u578b.onnx", "model"),
        (os.fsdecode(b"\xff\xfe.onnx"), "model"),
        ("y" * 250, "y" * 40),
    ],
)
def test_the_name_of_the_file(
    file: str, name: str, here: Path, onnx_file: Path, no_tools: Path
) -> None:
    shutil.copy(onnx_file, here / file)
    result = run("export", "-t", "host", "-o", "out", "--", file)
    assert result.exit_code == 0, result.stderr
    assert harmless(result.stdout)
    assert harmless(result.stderr)
    report = json.loads((here / "out" / "report.json").read_text())
    assert report["options"]["name"] == name
    assert report["model"]["file"] == os.fsencode(file).decode("utf-8", "replace")
    assert (here / "out" / "c" / "model" / f"{name}.h").is_file()
    page = (here / "out" / "report.html").read_text()
    assert "script" not in Page(page).tags
    assert all(c.isprintable() or c == "\n" for c in page)
    result = run("check", "out")
    assert result.exit_code == 5, result.stderr  # no tool is here, but the report was read
    assert sorted(path.name for path in here.iterdir()) == sorted([file, "out"])


def test_the_name_of_the_folder(
    here: Path, onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is built where CMake and Ninja take every path: elsewhere, and nothing of that is left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = f"a b;$(touch {MARK})'\"\\|<c>&\n#%@x@:\u202e"
    result = run("export", onnx_file, "-t", "host", "-o", f"{folder}/out", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["memory"]["flash_bytes"] > 0
    result = run("check", f"{folder}/out", "--json")
    assert result.exit_code == 0, result.stderr
    assert "skipped" not in json.loads(result.stdout)["check"]["executors"]["c"]
    assert [path.name for path in here.iterdir()] == [folder]
    assert [path.name for path in (here / folder).iterdir()] == ["out"]
    assert list(temporary.iterdir()) == []
