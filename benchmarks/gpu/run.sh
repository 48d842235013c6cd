#!/bin/bash
# On a machine with a GPU and no network, in the project's root, with the folder .gpu that prepare.sh has filled:
#
#   bash benchmarks/gpu/run.sh --seconds=540 --output=runs/gpu
#
# Python 3.12 with jax for the GPU, flax, optax, orbax, jaxtyping, OpenCV and, to be timed beside, torch and torchvision
# must be there; what else is needed is carried along. The flags are those of `benchmarks.gpu.driver`.

set -euo pipefail
wheels=${CARRIED:-.gpu}/wheels
python=${PYTHON:-python3}

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
if compgen -G "$wheels/*.whl" > /dev/null; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONUNBUFFERED=1
"$python" -m benchmarks.gpu.driver --carried="${CARRIED:-.gpu}" "$@"
