#!/usr/bin/env bash
# MS COCO of 2014 with Karpathy's splits, 20 GB. scripts/download_coco.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --image_dir TO/coco/images --dataset karpathy:TO/karpathy/dataset_coco.json
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download coco2014 --to "${1:-downloads}" "${@:2}"
