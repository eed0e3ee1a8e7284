"""Programs that misbehave: each is one clear error, and no process is left."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from r2b_edge import targets
from r2b_edge.errors import DeviceError, InputError, ToolMissingError
from r2b_edge.runners import Session, connect
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession

NOTE_PID = "import os, pathlib, signal, sys, time; pathlib.Path(sys.argv[0] + '.pid').write_text(str(os.getpid()))"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program"


def write_program(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([f"#!{sys.executable}", NOTE_PID, *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def is_gone(program: Path) -> bool:
    pid = int(program.with_suffix(".pid").read_text())
    try:
        os.kill(pid, 0)  # a zombie still answers: it has to be waited for as well
    except ProcessLookupError:
        return True
    return False


def open_session(program: Path, time_limit_s: float = 20.0) -> Session:
    return connect("host", targets.load("host"), time_limit_s=time_limit_s).open(program)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["sys.stderr.write('arena too small\\n\\n')", "sys.exit(7)"],
            "ended with 7: arena too small",
        ),
        (["os.kill(os.getpid(), signal.SIGSEGV)"], "was ended by SIGSEGV"),
        (["sys.stdin.buffer.read(28)", "os.abort()"], "was ended by SIGABRT"),
        (["print('Segmentation fault (core dumped)')"], "ended with 0"),
        (["while True: sys.stdout.write('y' * 4096)"], "not in the runner's protocol"),
        (["os.close(1)", "time.sleep(60)"], "closed its output"),
        (
            ["sys.stderr.write('\\x1b[2Jred\\x07\\n')", "sys.exit(1)"],
            r"ended with 1: \\x1b\[2Jred\\x07$",
        ),
    ],
)
def test_a_program_that_fails(program: Path, lines: list[str], message: str) -> None:
    write_program(program, *lines)
    with open_session(program) as session, pytest.raises(DeviceError, match=message) as caught:
        session.info()
    assert "\n" not in str(caught.value)
    assert is_gone(program)


def test_a_program_that_hangs(program: Path) -> None:
    write_program(
        program, "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "while True: time.sleep(60)"
    )
    start = time.monotonic()
    limit = pytest.raises(DeviceError, match="did not answer in time")
    with open_session(program, time_limit_s=1.5) as session, limit:
        session.info()
    assert time.monotonic() - start < 15.0
    assert is_gone(program)


def test_two_full_pipes_do_not_wait_for_each_other(program: Path) -> None:
    # It says 4 MB before it reads, and is sent 4 MB meanwhile.
    write_program(
        program,
        "sys.stdout.buffer.write(bytes(4 << 20)); sys.stdout.buffer.flush()",
        "sys.stdout.write(str(len(sys.stdin.buffer.read(4 << 20))))",
    )
    channel = ProcessChannel([program])
    try:
        deadline = time.monotonic() + 20.0
        channel.write(bytes(4 << 20), deadline)
        said = bytearray()
        while len(said) < (4 << 20) + 7:
            said += channel.read(deadline)
        assert said == bytes(4 << 20) + b"4194304"
    finally:
        channel.close()


def use_until_interrupted(program: Path) -> None:
    with open_session(program):
        deadline = time.monotonic() + 20.0
        while not program.with_suffix(".pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        raise KeyboardInterrupt


def test_an_interrupt_ends_the_program(program: Path) -> None:
    write_program(program, "while True: time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        use_until_interrupted(program)
    assert is_gone(program)


def test_what_cannot_be_started(program: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be started: No such file"):
        open_session(program)
    program.write_text("no program")
    with pytest.raises(DeviceError, match="cannot be started: Permission denied"):
        open_session(program)


def test_closing_twice_is_harmless(program: Path) -> None:
    write_program(program, "sys.stdin.read()")
    session = StreamSession(ProcessChannel([program]), 20.0)
    session.close()
    session.close()
    assert is_gone(program)


def test_urls() -> None:
    host, rpi4 = targets.load("host"), targets.load("rpi4")
    assert connect("emulator", host).kind == "host"
    assert connect("host", host).kind == "host"
    with pytest.raises(InputError, match="unknown device 'ssh:nonsense'"):
        connect("ssh:nonsense", rpi4)


def test_a_program_of_another_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(InputError, match="do not run on this machine"):
        connect("host", targets.load("rpi4"))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert connect("host", targets.load("rpi4")).kind == "host"


def test_a_missing_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install qemu-user"):
        connect("emulator", targets.load("rpi4"))
