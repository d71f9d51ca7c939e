#!/usr/bin/env bash
# The standing experiment: Flickr8k photographs, sentences that describe other photographs, a small object detector.
# No image-sentence pair is used for training; the 1,000 development images with their captions only choose the
# checkpoint and give the scores. Everything is read from $UIC_REALDATA. Interrupted, the same command goes on.
#   scripts/flickr8k.sh [--corpus coco|flickr30k] [--seed 1]
# Results: runs/flickr8k_CORPUS/full (the run), b34.json in it, runs/flickr8k_CORPUS/table.json.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=coco seed=1
while [ $# -gt 0 ]; do
  case $1 in
    --corpus) corpus=$2 ;;
    --seed) seed=$2 ;;
    *) sed -n 2,7p "$0"; exit 2 ;;
  esac
  shift 2
done
real=${UIC_REALDATA:-../shared/realdata}
case $corpus in
  coco) sentences=$real/corpora/coco_val2017_sentences.txt ;;
  flickr30k) sentences=$real/corpora/flickr30k_train_minus_flickr8k.txt ;; # closer in style to Flickr8k: say so beside any figure
  *) echo "ERROR: --corpus $corpus: expected coco or flickr30k" >&2; exit 2 ;;
esac
for needed in "$sentences" "$real/flickr8k/train.txt" "$real/models/coco_ssd_mobilenet_v1_quant.tflite"; do
  [ -f "$needed" ] || { echo "ERROR: $needed is missing; set UIC_REALDATA to the folder that holds it" >&2; exit 1; }
done
source scripts/setup.sh requirements.txt
export TF_CPP_MIN_LOG_LEVEL=3

data=data/flickr8k_$corpus runs=runs/flickr8k_$corpus
labels=$real/models/coco_labels.txt images=$real/flickr8k/images dataset=flickr8k:$real/flickr8k
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }

step "sentences" python -m preprocessing.extract_descriptions --data_dir "$data" --input "$sentences" --min_tokens 5
step "dictionary and records" python -m preprocessing.process_descriptions --data_dir "$data" \
  --class_names "$labels" --new_dict --min_word_count 4 --max_length 18
step "objects" python -m preprocessing.detect_objects --data_dir "$data" --image_dir "$images" --dataset "$dataset" \
  --detector "$real/models/coco_ssd_mobilenet_v1_quant.tflite" --labels "$labels"
step "image records" python -m preprocessing.process_images --data_dir "$data" --image_dir "$images" \
  --dataset "$dataset" --score_threshold 0.4
step "feature bank" python -m preprocessing.extract_features --data_dir "$data" \
  --encoder "tflite:$real/models/tf2_mobilenet_v2_1.0_224_ptq.tflite#172" --crops 4
step "rows that need no training" python -m evaluation.untrained --data_dir "$data" --split val \
  --corpus "$corpus" --seed "$seed" --table "$runs/table.json"
step "training" python train.py --recipe flickr8k_scratch --data_dir "$data" --job_dir "$runs/full" --seed "$seed"
for decode in beam3 greedy; do
  step "scores of the checkpoints, $decode" python eval_val.py --job_dir "$runs/full" --decode $decode \
    --row scratch --corpus "$corpus"
done
step "the table (development images)" python -m evaluation.table "$runs/table.json"
