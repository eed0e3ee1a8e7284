from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge import targets
from r2b_edge.errors import InputError, R2BError, ToolMissingError
from r2b_edge.toolchain import elf, find
from r2b_edge.toolchain.build import Build, build


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("target", ["host", "rpi4"])
def test_builds_without_a_warning(
    target: str, compiler: str, tiny_build: Callable[..., Build]
) -> None:
    # -Wall -Wextra -Wconversion -Werror are the project's own defaults: a warning fails the build.
    built = tiny_build(target, compiler)
    assert built.compiler.kind == compiler
    assert (elf.machine(built.runner) == "EM_AARCH64") == (target == "rpi4")
    assert "-Werror" in (built.runner.parent / "build.ninja").read_text()


@pytest.mark.parametrize("target", ["host", "rpi4"])
def test_flash_and_ram_are_the_models(target: str, tiny_build: Callable[..., Build]) -> None:
    built = tiny_build(target)
    cost = elf.cost(built.with_model, built.without_model)
    # Three tensors (32 bytes each), two steps (32 each) and the model (80) are the least there is; the code
    # is some hundred bytes.
    assert 240 < cost.flash < 2000
    assert abs(cost.ram - 48) < 64  # the arena, give or take the alignment of what lies around it


def test_the_exported_folder_is_left_alone(
    tiny_project: Callable[[str], Path], tiny_build: Callable[..., Build]
) -> None:
    before = {path: path.read_bytes() for path in tiny_project("host").rglob("*") if path.is_file()}
    tiny_build("host")
    after = {path: path.read_bytes() for path in tiny_project("host").rglob("*") if path.is_file()}
    assert before == after
    assert len(after) >= 11


OUTER_PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(product LANGUAGES C)
add_subdirectory(c)
add_executable(product main.c)
target_link_libraries(product PRIVATE r2b_model_tiny)
"""
OUTER_MAIN = """
#include <stdio.h>
#include "tiny.h"
int main(void) {
    static _Alignas(R2B_TINY_ARENA_ALIGNMENT) uint8_t arena[R2B_TINY_ARENA_BYTES];
    const float in[4] = {1, 2, 3, 4};
    float out[4];
    const void *ins[1] = {in};
    void *outs[1] = {out};
    const r2b_io io = {ins, outs};
    if (r2b_run(&r2b_tiny_model, &io, arena, NULL) != R2B_OK) return 1;
    printf("%g %g %g %g", out[0], out[1], out[2], out[3]);
    return 0;
}
"""


def test_is_a_library_in_another_project(
    tmp_path: Path, tiny_project: Callable[[str], Path], require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "gcc")
    shutil.copytree(tiny_project("host"), tmp_path / "c")
    (tmp_path / "CMakeLists.txt").write_text(OUTER_PROJECT)
    (tmp_path / "main.c").write_text(OUTER_MAIN)
    out = tmp_path / "build"
    for argv in (["cmake", "-S", tmp_path, "-B", out], ["cmake", "--build", out]):
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
    done = subprocess.run([out / "product"], check=True, capture_output=True, timeout=20)
    assert done.stdout == b"3 5 7 9"
    assert not list(out.rglob("r2b_runner"))


def test_a_compile_error_shows_the_compilers_words(
    tmp_path: Path, tiny_project: Callable[[str], Path], require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "gcc")
    c_dir = shutil.copytree(tiny_project("host"), tmp_path / "c")
    with (c_dir / "model/tiny.c").open("a") as file:
        file.write("int broken = nonsense;\n")
    with pytest.raises(R2BError, match=r"does not compile.*error:.*nonsense") as caught:
        build(c_dir, targets.load("host"), tmp_path / "build")
    assert caught.value.exit_code == 70
    assert "\n" not in str(caught.value)
    assert "tiny.c" in caught.value.__notes__[0]


def test_a_wrong_flag_shows_the_compilers_words(
    tmp_path: Path, tiny_project: Callable[[str], Path], require_tool: Callable[..., None]
) -> None:
    """CMake's own error comes first in the log, and says of the flag nothing but that no program can be built."""
    require_tool("cmake", "gcc")
    flags = {"CMAKE_C_FLAGS": "-mnonsense"}
    with pytest.raises(ToolMissingError, match=r"error: unrecognized .*-mnonsense") as caught:
        build(tiny_project("host"), targets.load("host"), tmp_path / "build", defines=flags)
    assert "CMake Error" not in str(caught.value)
    assert "CMake Error" in (tmp_path / "build/build.log").read_text()


def test_a_broken_toolchain_is_told_from_a_bug(
    tmp_path: Path,
    tiny_project: Callable[[str], Path],
    require_tool: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_tool("cmake", "ninja")
    broken = tmp_path / "bin/gcc"
    broken.parent.mkdir()
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo gcc 12 && exit\necho no libc >&2; exit 1\n'
    )
    broken.chmod(0o755)
    real = find.tool
    monkeypatch.setattr(find, "tool", lambda name: broken if name == "gcc" else real(name))
    with pytest.raises(ToolMissingError, match="cannot build for host"):
        build(tiny_project("host"), targets.load("host"), tmp_path / "build")


def test_what_is_no_exported_project(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no exported C project"):
        build(tmp_path, targets.load("host"), tmp_path / "build")


def test_sanitizers_need_a_target_that_runs_here(
    tmp_path: Path, tiny_project: Callable[[str], Path]
) -> None:
    with pytest.raises(InputError, match="sanitizers"):
        build(tiny_project("rpi4"), targets.load("rpi4"), tmp_path / "build", sanitize=True)


def test_elf_symbols(tiny_build: Callable[..., Build]) -> None:
    runner = tiny_build("host").runner
    assert elf.symbol_address(runner, "r2b_marker") > 0
    with pytest.raises(InputError, match="no symbol r2b_nothing"):
        elf.symbol_address(runner, "r2b_nothing")


def test_what_is_no_elf_program(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match="no ELF program"):
        elf.footprint(file)
