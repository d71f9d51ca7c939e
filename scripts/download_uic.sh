#!/usr/bin/env bash
# The UIC authors' dictionary, plurals and lists; says where their larger files are. scripts/download_uic.sh [TO] [flags of scripts.download]
# Interrupted, the same command goes on. Then: process_descriptions --word_counts TO/uic/word_counts.txt --plurals TO/uic/plural_words.json
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements.txt
exec python -m scripts.download uic --to "${1:-downloads}" "${@:2}"
