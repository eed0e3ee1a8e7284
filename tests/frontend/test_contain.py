"""Networks that crash, hang, print or allocate without end, as files and in memory: the caller lives on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from r2b_edge.errors import InputError, R2BError, UnsupportedError
from r2b_edge.frontend import LoadOptions, module_to_onnx, to_onnx
from r2b_edge.frontend.attempts import first_that_works
from r2b_edge.frontend.contain import ExporterFailedError

X = torch.zeros(1, 3, 8, 8)
GIB = 1 << 30

# What forward does: as code for a file, and run here for a module in memory.
CRASH = "os.write(2, b'last words\\n'); os.kill(os.getpid(), 11)"
HANG = "time.sleep(60)"
ALLOCATE = "[torch.ones(1 << 26) for _ in range(64)]"
NOISE = "[os.write(1 + i % 2, b'noise ' * 200000) for i in range(20)]"  # 24 MB
EXIT = "os._exit(3)"


class Does(nn.Module):
    def __init__(self, code: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.code = code

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        exec(self.code, {"os": os, "time": time, "torch": torch})
        return self.conv(x)


def in_memory(code: str, folder: Path, **limits: Any) -> None:
    module_to_onnx(Does(code), X, folder / "m.onnx", LoadOptions(**limits))


def as_file(code: str, folder: Path, **limits: Any) -> None:
    (folder / "net.py").write_text(
        "import os, time, torch\n"
        "class Net(torch.nn.Conv2d):\n"
        "    def __init__(self): super().__init__(3, 4, 3)\n"
        f"    def forward(self, x):\n        {code}\n        return super().forward(x)\n"
    )
    torch.save(nn.Conv2d(3, 4, 3).state_dict(), folder / "w.pt")
    options = LoadOptions(((1, 3, 8, 8),), f"{folder}/net.py:Net", **limits)
    to_onnx(folder / "w.pt", folder / "m.onnx", options)


Way = Callable[..., None]
both = pytest.mark.parametrize("load", [in_memory, as_file])


def left(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()} - {"w.pt", "net.py", "__pycache__"}


@both
def test_a_crash(load: Way, tmp_path: Path) -> None:
    with pytest.raises(R2BError, match="die with SIGSEGV: last words") as caught:
        load(CRASH, tmp_path)
    assert caught.value.exit_code in (2, 3)
    assert left(tmp_path) == set()


@both
def test_an_exit(load: Way, tmp_path: Path) -> None:
    with pytest.raises(R2BError, match="die with exit status 3"):
        load(EXIT, tmp_path)


@both
def test_a_hang(load: Way, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(R2BError, match=r"took more than \d+(\.\d+)? s to load and export"):
        load(HANG, tmp_path, time_limit_s=9)
    assert time.monotonic() - begun < 25
    assert left(tmp_path) == set()


@both
def test_endless_memory(load: Way, tmp_path: Path) -> None:
    with pytest.raises(R2BError, match="needs more than 2 GiB of memory"):
        load(ALLOCATE, tmp_path, memory_limit_bytes=2 * GIB)
    assert left(tmp_path) == set()


@both
def test_noise(load: Way, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(NOISE, tmp_path)
    assert left(tmp_path) == {"m.onnx"}
    printed = capfd.readouterr()
    assert "noise" not in printed.out + printed.err


def test_what_a_child_leaves_behind_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"p = os.fork(); p or time.sleep(60); open({str(pid)!r}, 'w').write(str(p))"
    in_memory(code, tmp_path)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid.read_text()}").exists():
        state = Path(f"/proc/{pid.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_module_is_left_as_it_was(tmp_path: Path) -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module_to_onnx(module, X, tmp_path / "m.onnx")
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_no_process_of_ours_remains(tmp_path: Path) -> None:
    with pytest.raises(R2BError):
        in_memory(CRASH, tmp_path)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


class TestAttempts:
    """One exporter after the other."""

    def fails(self, message: str, hint: str = "") -> ExporterFailedError:
        return ExporterFailedError(message, hint)

    def run(self, *outcomes: dict[str, Any] | Exception) -> dict[str, Any]:
        self.limits: list[tuple[str, float, float]] = []
        waiting = list(outcomes)

        def attempt(exporter: str, limit: float, export_limit: float) -> dict[str, Any]:
            self.limits.append((exporter, limit, export_limit))
            outcome = waiting.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return first_that_works(("dynamo", "script"), attempt, 300, "m.pt")

    def test_the_first_is_enough(self) -> None:
        assert self.run({"notes": []}) == {"notes": []}
        assert [name for name, *_ in self.limits] == ["dynamo"]

    def test_the_second_tells_of_the_first(self) -> None:
        made = self.run(self.fails("no such op"), {"notes": ["x"]})
        assert made["notes"] == [
            "x",
            "exported by TorchScript, since torch.export failed: no such op",
        ]

    def test_both_fail(self) -> None:
        with pytest.raises(UnsupportedError) as caught:
            self.run(self.fails("one", "do this"), self.fails("two", "or that"))
        assert str(caught.value) == (
            "m.pt cannot be exported, by torch.export: one; by TorchScript: two; do this"
        )
        assert caught.value.exit_code == 3

    def test_a_mistake_of_the_users_is_told_at_once(self) -> None:
        with pytest.raises(InputError, match="yours"):
            self.run(InputError("yours"))
        assert len(self.limits) == 1

    def test_the_first_leaves_time_for_the_second(self) -> None:
        self.run(self.fails("one"), {"notes": []})
        (_, limit, export_limit), (_, rest, export_rest) = self.limits
        assert export_limit == pytest.approx(limit * 2 / 3)
        assert limit == pytest.approx(300, abs=1)
        assert rest == export_rest


def test_ctrl_c_ends_the_fork(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 4)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_memory(code, tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not Path(f"/proc/{mark.read_text()}").exists()
    assert left(tmp_path) == {"pid"}
