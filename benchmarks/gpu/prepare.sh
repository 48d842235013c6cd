#!/bin/bash
# What a machine with a GPU and no network needs besides the project's files, into the folder .gpu:
#
#   PYTHON=.venv/bin/python bash benchmarks/gpu/prepare.sh
#
#   expected.npz   values of this machine's CPU, to compare with (minutes)
#   wheels/        packages that the other machine lacks: PACKAGES, for its PYTHON_VERSION and PLATFORMS
#   shared/        BCCD and the weights that its training begins with, from LAD_SHARED (../shared) if they are there
#
# LIMIT, where the way to the other machine has one: bytes that all of it and the project's own files may have together.

set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
to=${CARRIED:-.gpu}
shared=${LAD_SHARED:-../shared}

rm -rf "$to"
mkdir -p "$to/wheels"

platforms=()
for platform in ${PLATFORMS:-manylinux_2_28_x86_64 manylinux_2_24_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64}; do
  platforms+=(--platform "$platform")
done
# shellcheck disable=SC2086  # a list of words
"$python" -m pip download --quiet --no-deps --only-binary=:all: --dest "$to/wheels" --constraint requirements.txt \
  --python-version "${PYTHON_VERSION:-3.12}" --implementation cp "${platforms[@]}" \
  ${PACKAGES-array-record grain ml-collections portpicker pycocotools tensorboardX}

JAX_PLATFORMS=cpu "$python" -m benchmarks.gpu.smoke --make="$to/expected.npz"

weights=weights/resnet50_imagenet_caffe.npz
if [ -f "$shared/$weights" ] && [ -d "$shared/data/bccd" ]; then
  mkdir -p "$to/shared/weights" "$to/shared/data"
  "$python" -c "import sys, numpy as np; np.savez_compressed(sys.argv[2], **np.load(sys.argv[1]))" \
    "$shared/$weights" "$to/shared/$weights"
  cp -r --no-preserve=mode "$shared/data/bccd" "$to/shared/data/"
else
  echo "no BCCD or no weights in $shared: the training is left out" >&2
fi

bytes=$({ find "$to" -type f -print0; git ls-files -z; } | xargs -0 stat --dereference --format=%s | awk '{ sum += $1 } END { print sum }')
echo "$to and the project's files have $bytes bytes"
if [ "$bytes" -gt "${LIMIT:-$bytes}" ]; then
  echo "error: more than LIMIT: leave out packages (PACKAGES=...) or the training (LAD_SHARED=)" >&2
  exit 1
fi
