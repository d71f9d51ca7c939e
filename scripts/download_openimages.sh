#!/usr/bin/env bash
# The UIC authors' detector and the class maps of OpenImages. scripts/download_openimages.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: --detector TO/openimages/… --class_names TO/openimages/oid_bbox_trainable_label_map.pbtxt
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download openimages --to "${1:-downloads}" "${@:2}"
