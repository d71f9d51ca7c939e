#!/usr/bin/env bash
# From nothing to a table of results on the miniature world, in about a quarter of an hour on two cores:
# draws the world, runs every stage, trains a captioner without a single image-caption pair, scores it on the test
# images beside the rows that need no training. Interrupted, the same command goes on where it was.
#   scripts/demo.sh [--data_dir data/miniature] [--runs runs/demo] [--seed 1] [--smoke]
# --smoke: the same stages on a tiny world with a few updates, to see that they run; its scores mean nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
data=data/miniature runs=runs/demo seed=1 world=() training=()
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --runs) runs=$2; shift ;;
    --seed) seed=$2; shift ;;
    --smoke)
      world=(--train_images 120 --val_images 60 --test_images 60 --sentences 1500 --encoder_images 480 --encoder_epochs 1)
      training=(--max_steps 40 --save_checkpoint_steps 20 --save_summary_steps 10)
      ;;
    *) sed -n 2,7p "$0"; exit 2 ;;
  esac
  shift
done
source scripts/setup.sh requirements.txt
export TF_CPP_MIN_LOG_LEVEL=3

step() { echo; echo "== $1"; shift; echo "\$ $*"; "$@"; }
table=$runs/table.json

step "draw the world, train its small encoder" \
  python -m preprocessing.make_miniature --data_dir "$data" "${world[@]}"
step "raw text -> sentences" \
  python -m preprocessing.extract_descriptions --data_dir "$data" --input "$data/raw/descriptions"
step "sentences -> dictionary and records" \
  python -m preprocessing.process_descriptions --data_dir "$data" --class_names "$data/raw/classes.txt" \
  --new_dict --min_word_count 5
step "photographs -> objects" \
  python -m preprocessing.detect_objects --data_dir "$data" --image_dir "$data/raw/images" \
  --dataset "jsonl:$data/raw" --detector "annotations:$data/raw/detections.jsonl"
step "photographs and objects -> records" \
  python -m preprocessing.process_images --data_dir "$data" --image_dir "$data/raw/images" --dataset "jsonl:$data/raw"
step "photographs -> feature bank" \
  python -m preprocessing.extract_features --data_dir "$data" --encoder "compact:$data/encoder/compact.npz" --crops 4
step "rows that need no training" \
  python -m evaluation.untrained --data_dir "$data" --split test --table "$table" --seed "$seed"
step "train the full model from scratch" \
  python train.py --recipe miniature_scratch --data_dir "$data" --job_dir "$runs/scratch" --seed "$seed" \
  "${training[@]}"
step "score its checkpoints on validation" \
  python eval_val.py --job_dir "$runs/scratch" --metrics BLEU,CIDEr,METEOR
step "score the best one on test" \
  python eval_test.py --job_dir "$runs/scratch"
step "the table" \
  python -m evaluation.table "$table"
