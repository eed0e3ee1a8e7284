#!/usr/bin/env bash
# Makes .venv with everything the project needs, and installs the compilers and emulators it calls.
#
# Idempotent; takes milliseconds and needs no network when nothing is to do. Debian packages are installed
# where that is allowed without asking (root, or sudo without a password); else the one line to run is printed.
#
#   PYTHON        the interpreter to make .venv with (default: 3.12 or 3.11 where there is one)
#   TORCH_INDEX   where torch comes from (default: PyTorch's index of CPU builds; empty: pip's own index)
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
STAMP=$VENV/.r2b-setup
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- Python -----------------------------------------------------------------------------------------------------

# A Python that can make a venv: Debian splits ensurepip off into python3-venv.
fits() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# 3.12 and 3.11 first: Larq Compute Engine has no wheels for later ones.
find_python() {
    local python
    for python in ${PYTHON:-python3.12 python3.11 python3 python3.14 python3.13}; do
        if fits "$python"; then echo "$python"; return; fi
    done
}

venv_works() { [ -x $VENV/bin/python ] && $VENV/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# --- Debian packages --------------------------------------------------------------------------------------------

# Each package, and the command or file that shows it is there (however it came).
PACKAGES=(
    "gcc                   gcc"
    "g++                   g++"
    "clang                 clang"
    "cmake                 cmake"
    "ninja-build           ninja"
    "ccache                ccache"
    "llvm                  llvm-mca"
    "git                   git"
    "ca-certificates       /etc/ssl/certs/ca-certificates.crt"
    "qemu-user             qemu-aarch64"
    "gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc"
    "qemu-system-arm       qemu-system-arm"
    "gcc-arm-none-eabi     arm-none-eabi-gcc"
    "libnewlib-arm-none-eabi /usr/lib/arm-none-eabi/newlib/libc.a"
)
# On Arm the native C library serves; elsewhere the cross compiler only recommends its own.
[ "$(uname -m)" = aarch64 ] || PACKAGES+=("libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h")

missing_packages() {
    local package probe
    while read -r package probe; do
        command -v "$probe" >/dev/null || [ -f "$probe" ] || echo "$package"
    done < <(printf '%s\n' "${PACKAGES[@]}")
    if ! venv_works && [ -z "$(find_python)" ]; then
        # Ubuntu 22.04 calls 3.10 python3, but has python3.11 beside it.
        if python3 -c 'import sys; sys.exit(sys.version_info >= (3, 11))' 2>/dev/null; then
            echo python3.11-venv
        else
            echo python3-venv
        fi
    fi
}

# Tries to install the packages; returns 1, having said what to run, where it may not.
install_packages() {
    local root=()
    if ! command -v apt-get >/dev/null; then
        say "not a Debian or Ubuntu machine; install what these packages hold: $*"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "some Debian packages are missing; run this, then make again:"
            echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
            return 1
        fi
        root=(sudo)
    fi
    say "installing $*"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# --- Python packages --------------------------------------------------------------------------------------------

stamp() { echo "$PWD"; cksum pyproject.toml constraints.txt scripts/setup.sh; $VENV/bin/python -VV; }

pip_install() { $VENV/bin/python -m pip install --disable-pip-version-check --no-input -c constraints.txt "$@"; }

# Whether a URL answers; the outer time limit covers a name server that does not.
reachable() {
    timeout 15 $VENV/bin/python -c 'import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1], method="HEAD"), timeout=8)' \
        "$1" 2>/dev/null
}

has_distribution() { $VENV/bin/python -c 'import sys; from importlib.metadata import version; version(sys.argv[1])' "$1" 2>/dev/null; }

# On x86-64 Linux PyPI's torch is the CUDA build, 4 GB with its libraries, none of which is used here; PyTorch
# keeps the CPU builds (200 MB) in an index of their own, which holds all of torch's dependencies too. It is asked
# alone, not as an extra index: pip would wait long on an unreachable one, and gives none of them precedence.
install_torch() {
    if has_distribution torch; then return; fi
    if [ -n "$TORCH_INDEX" ] && reachable "$TORCH_INDEX/torch/"; then
        pip_install --index-url "$TORCH_INDEX" torch
    else
        [ -z "$TORCH_INDEX" ] || say "$TORCH_INDEX cannot be reached: torch comes from pip's own index (maybe a CUDA build)"
        pip_install torch
    fi
}

install_python_packages() {
    if ! venv_works; then
        local python
        python=$(find_python)
        [ -n "$python" ] || die "needs Python 3.11 or later with venv and ensurepip (PYTHON=${PYTHON:-} names the one to use)"
        say "making $VENV with $("$python" -V)"
        "$python" -m venv --clear $VENV
    fi
    [ "$(cat $STAMP 2>/dev/null)" != "$(stamp)" ] || return 0
    rm -f $STAMP
    # The project is built with the venv's own setuptools, so that a repeated set-up downloads nothing.
    pip_install setuptools
    install_torch
    pip_install --no-build-isolation -e '.[dev,train]'
    if ! has_distribution larq-compute-engine; then
        say "Larq Compute Engine has no wheel for $($VENV/bin/python -V) on $(uname -sm), only for 3.11 and 3.12 on Linux x86_64:"
        say "model.tflite is written all the same; its check is skipped, and the report says so."
    fi
    stamp >$STAMP
}

# The Python packages are installed even where Debian packages are missing: exporting needs no compiler.
ok=true
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}" || ok=false; fi
install_python_packages
$ok
