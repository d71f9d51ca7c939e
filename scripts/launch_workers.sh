#!/usr/bin/env bash
# Starts N worker processes of one trainer on this machine, to try multi-worker training:
#   scripts/launch_workers.sh N python train.py --recipe miniature/scratch --data_dir data/miniature --job_dir runs/x
# The batch is the global one, divided among the workers. On a real cluster start the same command once on each machine
# with TF_CONFIG set there; --job_dir and --data_dir must be folders that all machines share.
# Worker 0 is the chief: it writes the run and prints to the screen; the others write to JOB_DIR.worker-I.log or
# worker-I.log here. A signal to this script is sent to all workers. The exit code is the first one that is not 0.
set -euo pipefail
if [ $# -lt 2 ] || ! [ "$1" -gt 0 ] 2>/dev/null; then
  sed -n 2,7p "$0"
  exit 2
fi
workers=$1
shift
cd "$(dirname "$0")/.."
[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH

log=worker
for argument in "$@"; do
  case $argument in --job_dir=*) log=${argument#*=}.worker ;; esac
  [ "${previous:-}" = --job_dir ] && log=$argument.worker
  previous=$argument
done
mkdir -p "$(dirname "$log")"
addresses=$(python - "$workers" <<'PYTHON'
import json, socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(json.dumps([f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]))
PYTHON
)

pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' INT TERM
for index in $(seq 0 $((workers - 1))); do
  config="{\"cluster\": {\"worker\": $addresses}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
  if [ "$index" = 0 ]; then
    TF_CONFIG=$config "$@" &
  else
    TF_CONFIG=$config "$@" > "$log-$index.log" 2>&1 &
  fi
  pids+=($!)
done

code=0
for pid in "${pids[@]}"; do
  while :; do  # `wait` also returns when a signal arrives: repeat it until the process has ended
    ended=0
    wait "$pid" || ended=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  [ "$code" -ne 0 ] || code=$ended
done
exit "$code"
