#!/bin/bash
# One training run on several hosts with GPUs, by Slurm:  sbatch scripts/slurm.sh CONFIG WORKDIR [FLAGS]
#
#   sbatch --nodes=4 scripts/slurm.sh configs/paper.py:paa_r50_1x /shared/runs/paa_r50 \
#     --config.dtype=bfloat16 --config.train.batch_size=64 --config.evaluation.batch_size=64
#
# One process for each GPU: JAX learns from Slurm how many there are and where the first one listens, and gives each
# the GPU of its number on the host. WORKDIR, the data and this folder must be at the same place on all hosts. Both
# batches must be multiples of the number of GPUs. Sent again with the same WORKDIR, the run goes on from its last
# checkpoint.
#
# For one process a host instead: --ntasks-per-node=1, and `export JAX_LOCAL_DEVICE_IDS=0,1,2,3,4,5,6,7` below.

#SBATCH --job-name=lad_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=6
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# Where a host fails or the job is preempted, Slurm starts it again. After any other end, exit code 75 (SIGTERM: it was
# saved) and the time limit too, it does not: `scontrol requeue JOBID`, or send it again. The log goes on.
#SBATCH --requeue

set -euo pipefail
config=$1
workdir=$2
shift 2

# Whatever leads outside through a proxy must not catch the processes' talk with each other.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

# Each process has workers of its own: fewer than its CPUs.
exec srun --kill-on-bad-exit=1 --label \
  python main.py --config="$config" --workdir="$workdir" --config.data.workers=5 "$@"
