#!/bin/sh
# Writes the locks anew. uv resolves for every platform and Python at once; it is needed only here, so it gets an
# environment of its own and stays out of the locks.
set -e
cd "$(dirname "$0")/.."
python3 -m venv .build/uv
.build/uv/bin/pip install --quiet uv
compile=".build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --no-emit-index-url"
rm -f requirements/dev.lock requirements/runtime.lock requirements/demo.lock requirements/gpu.lock requirements/peers.lock
$compile --extra demo --group dev pyproject.toml -o requirements/dev.lock >/dev/null
$compile -c requirements/dev.lock pyproject.toml -o requirements/runtime.lock >/dev/null
$compile --extra demo -c requirements/dev.lock pyproject.toml -o requirements/demo.lock >/dev/null
$compile --extra gpu -c requirements/dev.lock pyproject.toml -o requirements/gpu.lock >/dev/null
# On its own: what it is measured with may be older or newer than what headrace has.
$compile --group pyproject.toml:peers -o requirements/peers.lock >/dev/null
