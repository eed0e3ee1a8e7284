"""A folder with Debian's arm64 Python, LiteRT and a Cortex-A72's /proc/cpuinfo, for qemu-aarch64 -L.

QEMU's user mode shows a program the host's own /proc/cpuinfo, at which XNNPACK's look at the processor fails; under
`-L FOLDER` it reads the one in the folder. Nothing is installed: packages are downloaded and unpacked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from r2b_edge.errors import ToolMissingError
from r2b_edge.toolchain import find

DEBIAN = "http://deb.debian.org/debian"
SUITE = "bookworm"
"""Whose Python is 3.11."""
PYTHON = "3.11"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBS = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6", "zlib1g",
    "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libuuid1",
)  # fmt: skip
WHEELS = ("ai-edge-litert", "numpy")
"""In the versions that are installed here."""
PLATFORMS = ("manylinux_2_27_aarch64", "manylinux2014_aarch64")

CPUINFO = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
"""A Cortex-A72 (part 0xd08), as Linux shows it on a Raspberry Pi 4; one core."""
FILES = {
    "proc/cpuinfo": CPUINFO,
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
}
APT = """\
Dir::Etc::sourcelist "{apt}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "{apt}/state";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
"""


def make(folder: Path) -> Path:
    """The folder's `root`, downloaded and unpacked where it is not there yet: 25 MB, 100 MB unpacked.

    Raises:
        ToolMissingError: no apt, no Debian archive key, or a download that fails.
    """
    root, done = folder / "root", folder / "done"
    said = "\n".join((SUITE, *DEBS, *_wheels()))
    if done.is_file() and done.read_text() == said:
        return root
    if not KEYRING.is_file():
        raise ToolMissingError(f"{KEYRING} is missing", "apt-get install debian-archive-keyring")
    shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True)
    for deb in _download(folder):
        _run(find.tool("dpkg"), "-x", deb, root)
    platforms = [argument for p in PLATFORMS for argument in ("--platform", p)]
    _run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON, *platforms,
        "--target", root / "site", *_wheels(),
    )  # fmt: skip
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done.write_text(said)
    return root


def _wheels() -> list[str]:
    return [f"{name}=={version(name)}" for name in WHEELS]


def _download(folder: Path) -> list[Path]:
    """The packages, by an apt that knows nothing of this machine's own packages and leaves them alone."""
    apt = (folder / "apt").absolute()
    for place in ("state/lists/partial", "cache/archives/partial", "debs"):
        (apt / place).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {DEBIAN} {SUITE} main\n")
    (apt / "status").touch()
    (apt / "apt.conf").write_text(APT.format(apt=apt))
    get, environment = find.tool("apt-get"), {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
    _run(get, "-q", "update", env=environment)
    _run(get, "-q", "download", *DEBS, env=environment, cwd=apt / "debs")
    return sorted((apt / "debs").glob("*.deb"))


def _run(*argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    done = subprocess.run(
        argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise ToolMissingError(f"{Path(argv[0]).name} failed: {last}", "needs Debian and a network")
