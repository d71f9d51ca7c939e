#!/usr/bin/env bash
# slim's Inception-v4 checkpoint. scripts/download_inception_v4.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --encoder inception_v4:TO/inception_v4/inception_v4.ckpt
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download inception_v4 --to "${1:-downloads}" "${@:2}"
