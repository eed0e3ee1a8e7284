#!/usr/bin/env bash
# mypy --strict over the examples, the benchmarks and the package as it is installed: r2b_edge with exporters, targets and
# firmware_templates inside.
#
# mypy follows neither setuptools' package-dir nor editable installs, so it gets a folder of links that looks like
# the installed package, and runs there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$root/build/typecheck
rm -rf "$tree"
mkdir -p "$tree/r2b_edge"
ln -s "$root"/r2b_edge/* "$root/exporters" "$root/targets" "$root/firmware_templates" "$tree/r2b_edge/"
ln -s "$root/examples" "$root/benchmarks" "$tree/"
cd "$tree"
exec "$root/.venv/bin/python" -m mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" -p r2b_edge -p examples -p benchmarks
