#!/usr/bin/env bash
# All static checks; with --fix, repairs formatting and what ruff can repair first. Goes on to the end, then fails.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
mapfile -d '' -t c_files < <(find . \( -name .venv -o -name .git -o -name build -o -name r2b-out -o -name golden \) -prune \
    -o -type f -name '*.[ch]' -print0 | sort -z)

if [ "${1:-}" = --fix ]; then
    $python -m ruff check --fix-only .
    $python -m ruff format .
    .venv/bin/clang-format -i "${c_files[@]}"
fi

failed=0
check() { echo "lint: $1"; shift; "$@" || failed=1; }
check "ruff check" $python -m ruff check .
check "ruff format" $python -m ruff format --check .
check "mypy --strict" scripts/typecheck.sh
check "clang-format (${#c_files[@]} files)" .venv/bin/clang-format --dry-run -Werror "${c_files[@]}"
exit $failed
