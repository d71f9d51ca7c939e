#!/usr/bin/env bash
# Runs one worker of a trainer under SLURM, one task on each node: makes TF_CONFIG from SLURM's variables.
#   #SBATCH --nodes=4 --ntasks-per-node=1 --signal=TERM@300 --requeue
#   srun scripts/slurm_worker.sh python train.py --recipe coco_shutterstock/full --data_dir D --job_dir RUN
# --data_dir and --job_dir must be folders that all nodes share. The signal before the time limit makes the run save and
# end with exit code 75; the requeued job continues from there. PORT chooses the workers' port (12345). Tested with
# simulated variables, not run on a cluster.
set -euo pipefail
if [ $# -lt 1 ] || [ -z "${SLURM_JOB_NODELIST:-}" ] || [ -z "${SLURM_NODEID:-}" ]; then
  sed -n 2,8p "$0" >&2
  [ $# -lt 1 ] || echo "ERROR: SLURM_JOB_NODELIST and SLURM_NODEID are not set: start this with srun" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
workers=$(printf ',"%s:'"${PORT:-12345}"'"' "${hosts[@]}")
export TF_CONFIG='{"cluster": {"worker": ['${workers#,}']}, "task": {"type": "worker", "index": '$SLURM_NODEID'}}'
exec "$@"
