"""Export and check for a microcontroller by the command line, and what it says where a network does not fit."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_nets import binary_net, fault, run, save

from r2b_edge import targets
from r2b_edge.checking import run as checking
from r2b_edge.runners import connect, count


@pytest.fixture
def tools(require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "gcc", "arm-none-eabi-gcc", "qemu-system-arm")


@pytest.mark.usefixtures("tools")
def test_export_and_check(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported = run("export", onnx_file, "--target", "stm32f405", "--out", out, "--json")
    assert exported.exit_code == 0, exported.stderr
    report = json.loads(exported.stdout)
    assert report["target_core"] == "cortex-m4"
    memory = report["memory"]
    assert memory["flash_bytes"] > memory["weight_bytes"]
    assert memory["ram_bytes"] >= memory["arena_bytes"] + memory["stack_bytes"]
    assert (memory["flash_kind"], memory["stack_kind"]) == ("linked", "painted stack")
    script = (out / "c/runner/linker.ld").read_text()
    assert "ORIGIN = 0x08000000, LENGTH = 1048576" in script

    checked = run("check", out, "--json")
    assert checked.exit_code == 0, checked.stderr
    report = json.loads(checked.stdout)
    c = report["check"]["executors"]["c"]
    assert c["steps"] == c["steps_exact"] == len(report["steps"])
    assert all(step["instructions"] > 0 for step in report["steps"])
    (speed,) = report["speed"]
    assert speed["kind"] == "emulated instructions"
    assert "netduinoplus2" in speed["device"]
    assert_limits_hold(out, report, tmp_path / "earlier.json")

    asked = run("check", out, "--threads", 2)
    assert asked.exit_code == 2
    assert fault(asked) == "stm32f405 runs one thread, not 2; leave --threads out"

    most = memory["flash_bytes"], memory["ram_bytes"]
    for flash, ram, code in ((0, 0, 0), (1, 0, 1), (0, 1, 1)):
        limits = ("--max-flash", most[0] - flash, "--max-ram", most[1] - ram)
        again = run("export", onnx_file, "-t", "stm32f405", "-o", tmp_path / "again", *limits)
        assert again.exit_code == code, again.stderr
    assert fault(again) == f"the model takes {most[1]:,} bytes of RAM, --max-ram is {most[1] - 1:,}"


def assert_limits_hold(out: Path, report: dict[str, Any], baseline: Path) -> None:
    """The first step was faster once, and one instruction less is allowed: both are told, and the report is new."""
    first, total = report["steps"][0]["instructions"], report["instructions"]["total"]
    for part in (report["steps"][0], *(x for x in report["layers"] if 0 in x["steps"])):
        part["instructions"] -= first // 2
    report["instructions"]["total"] -= first // 2
    baseline.write_text(json.dumps(report))
    result = run("check", out, "--baseline", baseline, "--max-instructions", total - 1, "--json")
    assert result.exit_code == 1, result.stderr
    assert json.loads(result.stdout)["instructions"]["total"] == total
    *steps, last = result.stderr.splitlines()
    assert steps[0].startswith("step 0, ")
    assert f"{first:,} instructions" in steps[0]
    assert steps[-1].startswith(f"one inference takes {total:,} instructions, ")
    assert last.endswith(
        f"one inference takes {total:,} instructions, --max-instructions is {total - 1:,}"
    )


@pytest.mark.usefixtures("no_tools")
def test_the_report_says_on_what_board_another_one_is_checked(
    onnx_file: Path, tmp_path: Path
) -> None:
    notes = {}
    for target in ("stm32f405", "stm32h743", "rp2040"):
        result = run("export", onnx_file, "-t", target, "-o", tmp_path / target, "--json")
        assert result.exit_code == 0, result.stderr
        notes[target] = [n for n in json.loads(result.stdout)["notes"] if "checked on" in n]
    assert notes["stm32f405"] == []
    assert "of the same core (qemu-system-arm -M mps2-an500" in notes["stm32h743"][0]
    assert "with another core (qemu-system-arm -M mps2-an385" in notes["rp2040"][0]


def test_a_network_that_cannot_fit_is_refused_before_it_is_built(
    tmp_path: Path, no_tools: Path, earlier: tuple[Path, Callable[[], None]]
) -> None:
    out, intact = earlier
    large = save(binary_net(channels=160), tmp_path / "large.onnx")
    result = run("export", large, "--target", "stm32f100", "--out", out)
    assert result.exit_code == 1, result.stderr
    said = fault(result)
    assert said.startswith("'large' does not fit stm32f100: ")
    ram = targets.load("stm32f100").region("data")
    assert ram is not None
    assert " of stack = " in said
    assert f"exceed its {ram.bytes:,} of ram; " in said
    assert "filled by 'conv" in said
    intact()


def test_a_budget_without_a_compiler_is_not_passed(
    onnx_file: Path, tmp_path: Path, no_tools: Path
) -> None:
    result = run("export", onnx_file, "-t", "stm32f405", "-o", tmp_path / "x", "--max-ram", 100_000)
    assert result.exit_code == 5, result.stderr
    assert fault(result) == (
        "--max-ram cannot be checked: not built: cmake is not installed; apt-get install cmake"
    )
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("tools")
def test_a_firmware_that_hangs_or_faults_is_exit_4(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line, and the report stays what it was."""
    out = tmp_path / "out"
    assert run("export", onnx_file, "-t", "stm32f405", "-o", out).exit_code == 0
    source, report = out / "c/model/tiny.c", (out / "report.json").read_bytes()
    own = source.read_text()
    counted = functools.partial(count.count_instructions, time_limit_s=8.0)
    monkeypatch.setattr(checking, "connect", functools.partial(connect, time_limit_s=8.0))
    monkeypatch.setattr(count, "count_instructions", counted)
    for planted, said in (
        ("for (volatile int hang = 1; hang != 0;) {\n    }", "r2b_runner did not answer in time"),
        ("__builtin_trap();", "exception 0x00000003 at address 0x0800"),
    ):
        changed, places = re.subn(r"(static void step1\(.*\{\n)", rf"\1    {planted}\n", own)
        assert places == 1
        source.write_text(changed)
        result = run("check", out)
        assert result.exit_code == 4, result.stderr
        assert said in result.stderr.splitlines()[-1]
        assert (out / "report.json").read_bytes() == report
