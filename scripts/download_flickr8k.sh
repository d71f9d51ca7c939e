#!/usr/bin/env bash
# Flickr8k, 1.1 GB, and Karpathy's splits of it. scripts/download_flickr8k.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --image_dir TO/flickr8k/images --dataset flickr8k:TO/flickr8k
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download flickr8k karpathy --to "${1:-downloads}" "${@:2}"
