#!/usr/bin/env bash
# From nothing to a table of results on the miniature world, in about twenty minutes on two cores:
# draws the world, runs every stage, trains captioners without a single image-caption pair, with and without the
# initialization, and one on true pairs (supervised_ceiling), and scores them on the test images beside the rows that
# need no training; RUNS/report.html shows them. Interrupted, the same command goes on where it was.
#   scripts/demo.sh [--data_dir data/miniature] [--runs runs/demo] [--seeds 1] [--smoke]
# --seeds N: all trained rows for the seeds 1 to N, with mean and standard deviation.
# --smoke: the same stages on a tiny world with a few updates, to see that they run; its scores mean nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
data=data/miniature runs=runs/demo seeds=1 world=() training=()
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --runs) runs=$2; shift ;;
    --seeds) seeds=$2; shift ;;
    --smoke)
      world=(--train_images 120 --val_images 60 --test_images 60 --sentences 1500 --encoder_images 480 --encoder_epochs 1)
      training=(--max_steps 40 --save_checkpoint_steps 20 --save_summary_steps 10)
      ;;
    *) sed -n 2,9p "$0"; exit 2 ;;
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
  python -m evaluation.untrained --data_dir "$data" --split test --table "$table" --seed 1
step "pseudo captions: corpus sentences that fit the objects of an image and its likes" \
  python -m initialization.retrieve_captions --data_dir "$data" --contrast 1 --uses 15

train() {  # train MODULE RUN FLAGS...
  local module=$1 run=$2
  shift 2
  step "train $run" python $module --data_dir "$data" --job_dir "$run" --seed "$seed" "${training[@]}" "$@"
}
score() {  # score RUN ROW: every checkpoint on validation, the best one on test
  step "score the checkpoints of $1 on validation" \
    python eval_val.py --job_dir "$1" --row "$2" --metrics BLEU,CIDEr
  step "score the best one on test" python eval_test.py --job_dir "$1" --row "$2" --table "$table"
}
for seed in $(seq "$seeds"); do
  folder=$runs
  [ "$seed" = 1 ] || folder=$runs/seed$seed
  train "-m initialization.obj2sen" "$folder/obj2sen" --recipe miniature_obj2sen \
    --detector "annotations:$data/raw/detections.jsonl"
  step "score con2sen on validation" \
    python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --metrics BLEU,CIDEr
  step "score con2sen on test" \
    python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --split test --table "$table"
  train "-m initialization.im_caption" "$folder/feat2sen" --recipe miniature_im_caption --captions retrieved
  score "$folder/feat2sen" feat2sen
  train train.py "$folder/full" --recipe miniature_full --imcap_ckpt "$folder/feat2sen"
  score "$folder/full" full
  train train.py "$folder/scratch" --recipe miniature_scratch
  score "$folder/scratch" scratch
  train "-m initialization.im_caption" "$folder/supervised" --recipe miniature_supervised \
    --captions "pairs:$data/raw/train_pairs.jsonl"
  score "$folder/supervised" supervised_ceiling
done
step "a page to look at" python -m evaluation.report "$runs"/{full,feat2sen,scratch,supervised} --output "$runs/report.html"
step "the table" python -m evaluation.table "$table"
