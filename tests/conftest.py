"""What tests of several areas share: tools that may be missing, and one tiny model to build and run."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

import r2b_edge.firmware_templates
from r2b_edge import targets
from r2b_edge.exporters.c.project import generated_files, runner_files
from r2b_edge.toolchain.build import Build, build

TESTS = Path(__file__).parent
TOGETHER = ("tests/c/", "tests/mutants/", "tests/nets/", "tests/random_nets/", "tests/tflite/")
"""Where tests share what takes long to make."""
TEMPLATES = Path(r2b_edge.firmware_templates.__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-golden, for tests that compare with stored files."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


def pytest_configure(config: pytest.Config) -> None:
    """Have ccache, where there is one, compile the kernels: hundreds of tests build the same ones.

    What it calls the same lies in another temporary folder each time: paths below it are told relative to it.
    """
    if ccache := shutil.which("ccache"):
        os.environ |= {
            "CMAKE_C_COMPILER_LAUNCHER": ccache,
            "CMAKE_ASM_COMPILER_LAUNCHER": ccache,
            "CCACHE_DIR": str(config.rootpath / "build" / "ccache"),
            "CCACHE_BASEDIR": tempfile.gettempdir(),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_MAXSIZE": "1G",
        }


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each test goes to the next process that is free, but those of TOGETHER all to one, and first."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid)

    return Scheduler(config, log)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """True with --update-golden: write the golden files anew."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def _own_random_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's RANDOM starts anew in each test: its numbers do not depend on which tests ran before, and where."""
    if hasattr(request.module, "RANDOM"):
        seed = zlib.crc32(request.node.name.encode())
        monkeypatch.setattr(request.module, "RANDOM", np.random.default_rng(seed))


@pytest.fixture(scope="session")
def require_tool() -> Callable[..., None]:
    """require_tool(*names) skips the test where a tool is missing; where CI=true that is a failure."""

    def require(*names: str) -> None:
        for name in names:
            if shutil.which(name) is None:
                if os.environ.get("CI") == "true":
                    pytest.fail(f"{name} is not installed")
                pytest.skip(f"{name} is not installed")

    return require


@pytest.fixture(scope="session")
def require_lce() -> None:
    """Skips the test where Larq Compute Engine has no wheel; fails where it has one, is not there, and CI=true."""
    from r2b_edge.checking.lce import LceExecutor

    if reason := LceExecutor.available():
        has_wheel = platform.machine() == "x86_64" and sys.version_info < (3, 13)
        if has_wheel and os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def write_tiny_project(target: targets.Target, c_dir: Path) -> Path:
    """Fill a `c/` folder with the hand-written model of tests/runners/tiny_model.c, as an export would; returns it."""
    for source, place in {
        TEMPLATES / "kernels/r2b.h": "include/r2b.h",
        TEMPLATES / "kernels/r2b.c": "src/r2b.c",
        TESTS / "runners/tiny_model.h": "model/tiny.h",
        TESTS / "runners/tiny_model.c": "model/tiny.c",
        **{TEMPLATES / file: f"runner/{Path(file).name}" for file in runner_files(target)},
    }.items():
        (c_dir / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, c_dir / place)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined
    )
    tiny = {"model_name": "tiny", "sources": ["src/r2b.c", "model/tiny.c"]}
    for name, path, values in generated_files(target):
        (c_dir / path).write_text(environment.get_template(name).render(tiny | values))
    return c_dir


@pytest.fixture(scope="session")
def tiny_writer() -> Callable[[targets.Target, Path], Path]:
    """tiny_writer(target, c_dir) writes that project for any target, shipped or not."""
    return write_tiny_project


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """tiny_project(target) is that project for a shipped target, once each."""

    @functools.cache
    def make(target_name: str) -> Path:
        c_dir = tmp_path_factory.mktemp(f"tiny-{target_name}") / "c"
        return write_tiny_project(targets.load(target_name), c_dir)

    return make


@pytest.fixture(scope="session")
def tiny_build(
    tiny_project: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Callable[..., Build]:
    """tiny_build(target, compiler="gcc", sanitize=False, c_flags="") builds that model, once each."""

    @functools.cache
    def make(
        target_name: str, compiler: str = "gcc", sanitize: bool = False, c_flags: str = ""
    ) -> Build:
        target = targets.load(target_name)
        require_tool("cmake", "gcc", compiler)
        if target.emulator is not None:
            require_tool(f"{target.triple}-gcc", target.emulator.argv[0])
        return build(
            tiny_project(target_name),
            target,
            tmp_path_factory.mktemp("build"),
            compiler=compiler,
            sanitize=sanitize,
            defines={"CMAKE_C_FLAGS": c_flags} if c_flags else None,
        )

    return make
