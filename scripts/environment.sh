#!/usr/bin/env bash
# Makes the virtual environment of this checkout from requirements.lock, unless it is up to
# date. `make test` and `make demo` call it first.
#
#   scripts/environment.sh
#   TORCH=cpu scripts/environment.sh  # PyTorch's CPU build: 0.2 GB instead of 5.5 GB, from
#                                     # PyTorch's own index
#
# VENV names the folder (default .venv), PYTHON the interpreter (default python3, >= 3.11).
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
python=${PYTHON:-python3}
torch=${TORCH:-default}
stamp=$venv/.installed
want=$(cat requirements.lock pyproject.toml scripts/environment.sh | cksum)-$torch

if [ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ]; then
    exit 0
fi
"$python" - <<'PY'
import sys
if sys.version_info < (3, 11):
    sys.exit(f"vectrue needs Python 3.11 or newer, this is {sys.version.split()[0]}: set PYTHON=/path/to/python3.11")
PY
echo "environment: $venv from requirements.lock (first time only)" >&2
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m uv --version >/dev/null 2>&1 || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
uv() { VIRTUAL_ENV=$venv "$venv/bin/python" -m uv --quiet "$@"; }

lock=requirements.lock
if [ "$torch" = cpu ]; then
    # The lock has no hashes of the CPU build: it is installed by version, the rest by hash.
    version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' requirements.lock)
    lock=$venv/requirements-without-torch.lock
    awk '/^[a-zA-Z0-9]/ { keep = !/^(torch|triton|nvidia-|cuda-)/ } keep' requirements.lock >"$lock"
    uv pip install --torch-backend cpu "torch==$version"
fi
uv pip install --no-deps --require-hashes -r "$lock"
uv pip install --no-deps --no-build-isolation -e .
printf '%s' "$want" >"$stamp"
