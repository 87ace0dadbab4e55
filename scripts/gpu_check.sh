#!/usr/bin/env bash
# Checks a machine with a GPU in under eight minutes, without a network: packed attention against the CPU,
# a training step of each model, every method on the shipped model, speed. Writes JSON.
#   scripts/gpu_check.sh                          # on the GPU, to runs/gpu-check.json
#   scripts/gpu_check.sh --device cpu --seconds 120   # the same code where there is none
# It needs torch 2.11, transformers 5.17 and what pyproject.toml names for [models]; wheels that the machine
# lacks (captum, platformdirs) may lie in a folder: WHEELS=DIR scripts/gpu_check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
site=
if [ -n "${WHEELS:-}" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$WHEELS"/*.whl
fi
PYTHONPATH="$PWD${site:+:$site}${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" -m benchmarks.gpu_check "$@"
