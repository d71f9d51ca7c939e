#!/usr/bin/env bash
# Flickr30k, 4.4 GB; the owners want a form filled in first, see data/MANIFEST.json. scripts/download_flickr30k.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --image_dir TO/flickr30k/images --dataset flickr30k:TO/flickr30k
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download flickr30k --to "${1:-downloads}" "${@:2}"
