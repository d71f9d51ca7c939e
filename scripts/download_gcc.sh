#!/usr/bin/env bash
# Conceptual Captions, texts and addresses of photographs, 0.5 GB. scripts/download_gcc.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: extract_descriptions --input gcc:TO/gcc/Train_GCC-training.tsv
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download gcc --to "${1:-downloads}" "${@:2}"
