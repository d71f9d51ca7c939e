#!/usr/bin/env bash
# The PASCAL sentences with their 1,000 photographs. scripts/download_pascal.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --image_dir TO/pascal/images --dataset pascal:TO/pascal
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download pascal --to "${1:-downloads}" "${@:2}"
