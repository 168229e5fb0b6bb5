#!/bin/sh
# Makes the environment of the Docker image: what vectrue needs to run, by the hashes of requirements.lock.
#
#   ops/docker/install.sh VENV [cpu|default]
#
# scripts/environment.sh installs the whole lock: checks, tests, a JDK and a Postgres for the local stack, 0.4 GB of
# them. Here only the lines of pyproject.toml's dependencies, and of what those need, are taken from the same lock.
# `cpu` takes PyTorch's CPU build from PyTorch's own index by version, because its hashes are not in the lock.
set -eu
venv=$1
torch=${2:-cpu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

uv --quiet venv "$venv"
uv --quiet pip compile --python "$venv/bin/python" --no-header --no-annotate --constraint requirements.lock \
    --extra models --extra serve pyproject.toml -o "$work/needed"
awk -F '[= ]' 'FNR == NR { needed[$1]; next } /^[a-zA-Z0-9]/ { keep = $1 in needed } keep' \
    "$work/needed" requirements.lock >"$work/runtime.lock"
lock=$work/runtime.lock
if [ "$torch" = cpu ]; then
    version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' requirements.lock)
    lock=$work/runtime-without-torch.lock
    awk '/^[a-zA-Z0-9]/ { keep = !/^(torch|triton|nvidia-|cuda-)/ } keep' "$work/runtime.lock" >"$lock"
    uv --quiet pip install --python "$venv/bin/python" --no-deps --torch-backend cpu "torch==$version"
fi
uv --quiet pip install --python "$venv/bin/python" --no-deps --require-hashes --compile-bytecode -r "$lock"
uv pip check --python "$venv/bin/python"
