"""The generated files: their text, that they are the same each time, and that names in a model do no harm."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from r2b_edge.errors import InputError
from r2b_edge.exporters.c import build_program, check_name, write
from r2b_edge.exporters.c.render import comment, number, render
from r2b_edge.graph.graph import Graph, Node, Origin, Tensor
from r2b_edge.ops import Clip, Sigmoid

from .harness import HERE, STRICT, TOOLCHAINS, Builder, Target, Toolchain, compile_all, run_program
from .nets import real_to_binary

GOLDEN = HERE / "golden"
ORIGIN = {"tool": "r2b-edge 0", "model sha256": "0123", "target": "host", "options": "none"}
HOSTILE = '*/ \n#error "x" ??/\n\\\r\u2028 int main; // /* {{ 7 * 6 }} %s $(id) `id`'


def tiny() -> Graph:
    return real_to_binary(channels=2, units=1, size=4)


def test_golden(update_golden: bool) -> None:
    """The whole generated code of a tiny net; look at the difference, then refresh with --update-golden."""
    program = build_program(tiny(), Target(), "tiny", ORIGIN)
    generated = {p: c for p, c in render(program, Target()) if p.startswith("model/")}
    if update_golden:
        shutil.rmtree(GOLDEN, ignore_errors=True)
        GOLDEN.mkdir()
        for path, content in generated.items():
            (GOLDEN / Path(path).name).write_bytes(content)
    assert {f.name for f in GOLDEN.iterdir()} == {Path(p).name for p in generated}
    for path, content in generated.items():
        assert content.decode() == (GOLDEN / Path(path).name).read_text("utf-8"), path


def test_the_same_program_gives_the_same_bytes() -> None:
    programs = [build_program(tiny(), Target(), "tiny", ORIGIN) for _ in range(2)]
    assert dict(render(programs[0], Target())) == dict(render(programs[1], Target()))
    assert programs[0].hash == programs[1].hash


def test_the_hash_tells_programs_apart() -> None:
    other = real_to_binary(channels=2, units=1, size=4)
    node = next(n for n in other.nodes if isinstance(n.op, Clip))
    changed = Node(node.name, Clip(0.0, 7.0), node.inputs, node.output)
    other.nodes[other.nodes.index(node)] = changed
    hashes = {build_program(g, Target(), "tiny", ORIGIN).hash for g in (tiny(), other)}
    assert len(hashes) == 2


def test_the_project_has_its_files(tmp_path: Path) -> None:
    program = build_program(tiny(), Target(), "tiny", ORIGIN)
    write(program, Target(), tmp_path / "c")
    files = {str(p.relative_to(tmp_path / "c")) for p in (tmp_path / "c").rglob("*") if p.is_file()}
    assert {
        "CMakeLists.txt", "LICENSE", "README.md", "include/r2b.h", "include/r2b_kernels.h",
        "model/tiny.c", "model/tiny.h", "model/tiny_weights.c", "model/tiny_weights.h",
        "runner/runner.c", "src/r2b.c", "src/r2b_bconv_portable.c", "toolchain.cmake",
    } <= files  # fmt: skip
    assert "src/r2b_map_portable.c" not in files, "only the kernels that are used"
    for name in files:
        first = (tmp_path / "c" / name).read_text("utf-8")[:200]
        if name.endswith((".c", ".h", ".txt", ".cmake")):
            assert "SPDX-License-Identifier: MIT-0" in first, name


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot write"):
        write(build_program(tiny(), Target(), "tiny", ORIGIN), Target(), tmp_path / "c")


def hostile() -> Graph:
    """A tiny net in which every name is an attack on comments, strings and templates."""
    b = Builder()
    x = b.input(1, 3)
    graph = b.done(b.add(Sigmoid(), b.add(Clip(-1.0, np.inf), x)))

    def bad(name: str) -> str:
        return f"{name}{HOSTILE}"

    graph.nodes = [
        Node(bad(n.name), n.op, tuple(map(bad, n.inputs)), bad(n.output)) for n in graph.nodes
    ]
    graph.tensors = {
        bad(n): Tensor(bad(n), t.type, Origin(bad(n))) for n, t in graph.tensors.items()
    }
    graph.inputs = [bad(n) for n in graph.inputs]
    graph.outputs = [bad(n) for n in graph.outputs]
    return graph


def test_names_of_a_model_do_no_harm() -> None:
    program = build_program(hostile(), Target(), "safe", {"options": HOSTILE, HOSTILE: "x"})
    for path, content in render(program, Target()):
        if path.startswith(("include/", "src/", "runner/")) or path == "LICENSE":
            continue  # copied as they are
        text = content.decode("ascii")
        if path.startswith("model/"):
            assert not re.search(r"/\*|\*/|\\|#error", text), path
        assert not re.search(r"\?\?|\{\{|`id`|\$\(id", text), path
        assert "\r" not in text


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda t: t.name)
def test_the_interface(
    toolchain: Toolchain, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    """Statuses, null pointers in r2b_io, and two models in one program: interface.c, on a net with hostile names."""
    require_tool(*toolchain.tools)
    for name, graph in (("first", hostile()), ("second", tiny())):
        write(build_program(graph, Target(), name, ORIGIN), Target(), tmp_path)
    sources = [
        *(tmp_path / "src").glob("*.c"),
        *(tmp_path / "model").glob("*.c"),
        HERE / "interface.c",
    ]
    folders = [tmp_path / "include", tmp_path / "model"]
    program = compile_all(toolchain, sources, folders, tmp_path / "build")
    assert run_program(toolchain, program, b"") == b"ok\n"


TWO_MODELS = """
cmake_minimum_required(VERSION 3.16)
project(product LANGUAGES C)
add_subdirectory(first)
add_subdirectory(second)
add_executable(product interface.c)
set_target_properties(product PROPERTIES C_STANDARD 11)
target_link_libraries(product PRIVATE r2b_model_first r2b_model_second)
"""


def test_two_exports_in_one_cmake_project(
    tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "gcc")
    for name, graph in (("first", hostile()), ("second", tiny())):
        write(build_program(graph, Target(), name, ORIGIN), Target(), tmp_path / name)
    (tmp_path / "CMakeLists.txt").write_text(TWO_MODELS)
    shutil.copy(HERE / "interface.c", tmp_path)
    out = tmp_path / "build"
    for argv in (["cmake", "-S", tmp_path, "-B", out], ["cmake", "--build", out]):
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
    done = subprocess.run([out / "product"], check=True, capture_output=True, timeout=20)
    assert done.stdout == b"ok\n"


def test_headers_are_cpp(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("g++")
    write(build_program(tiny(), Target(), "tiny", ORIGIN), Target(), tmp_path)
    source = tmp_path / "main.cpp"
    source.write_text('#include "tiny.h"\n#include "r2b_kernels.h"\nint main() { return 0; }\n')
    flags = [f for f in STRICT if not f.startswith("-std")] + ["-fsyntax-only"]
    done = subprocess.run(
        ["g++", *flags, f"-I{tmp_path}/include", f"-I{tmp_path}/model", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "a-b", "a b", "é", "a" * 49, "a;b", "r2b", "stdint", "port"]
)
def test_a_name_that_c_cannot_have(name: str) -> None:
    with pytest.raises(InputError, match="--name"):
        check_name(name)


def test_a_name_that_c_can_have() -> None:
    assert check_name("r2b_cifar10") == "r2b_cifar10"


def test_comments_are_one_short_line() -> None:
    assert len(comment("x" * 500)) == 80
    assert comment("/layer1/conv[0]: a->b") == "/layer1/conv[0]: a-_b"


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 0.1, -1e-45, 3.4028235e38, 16777216.0, 1e10, np.inf, -np.inf]
)
def test_a_float_literal_is_that_float(value: float) -> None:
    text = number(np.float32(value))
    assert re.fullmatch(r"-?(\d+\.\d*(e[-+]\d+)?f|\d+e[-+]\d+f|INFINITY)", text)
    back = np.float32(text.replace("INFINITY", "inf") if "INF" in text else text.rstrip("f"))
    assert back == np.float32(value)
    assert np.signbit(back) == np.signbit(np.float32(value))
