#!/bin/bash
# One training run on all hosts of a TPU pod slice, from your own machine:  scripts/tpu_pod.sh CONFIG WORKDIR [FLAGS]
#
#   export TPU=my-slice ZONE=europe-west4-b
#   scripts/tpu_pod.sh configs/paper.py:paa_r50_1x /mnt/shared/runs/paa_r50 \
#     --config.train.batch_size=128 --config.evaluation.batch_size=128
#
# Needs gcloud, and on every host of the slice:
#   * this repository in ~/lad_jax, with `pip install '.[tpu]'` in ~/lad_jax/.venv;
#   * a file system that all hosts share (Filestore, for one), with WORKDIR on it;
#   * the data, at the same place: shared, or a copy on each host.
# To prepare them, `gcloud compute tpus tpu-vm ssh --worker=all --command=...` does the same on all.
#
# The same command starts on every host; JAX finds the others by the slice's metadata. Both batches must be multiples of
# the number of chips. All networks compute in bfloat16. Started again with the same WORKDIR, the run goes on from its
# last checkpoint.

set -euo pipefail
: "${TPU:?name of the slice}" "${ZONE:?its zone}"
config=$1
workdir=$2
shift 2

# Quoted for the hosts' shell.
run=$(printf '%q ' .venv/bin/python main.py --config="$config" --workdir="$workdir" --config.dtype=bfloat16 "$@")

exec gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="cd ~/lad_jax && $run"
