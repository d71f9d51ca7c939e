#!/usr/bin/env bash
# The main experiment: Flickr8k photographs, sentences that describe other photographs, a small object detector.
# No image-sentence pair is used for training; the 1,000 development images with their captions only choose the
# checkpoints and give the scores. Data are read from $UIC_REALDATA. The same command continues after an interruption.
#   scripts/flickr8k.sh [--corpus coco|flickr30k] [--seed 1] [--more_concepts yes|no]
# --more_concepts: add a classifier's words to the detector's classes, in separate folders (flickr8k_CORPUS_yes).
# All settings are in configs/flickr8k_coco.py, flickr8k_flickr30k.py, flickr8k_coco_classifier.py (--more_concepts
# yes), flickr8k_flickr30k_no_classifier.py (--more_concepts no).
# Results: runs/flickr8k_CORPUS/full (the run), b34.json in it, runs/flickr8k_CORPUS/table.json.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=coco seed=1 asked=""
while [ $# -gt 0 ]; do
  case $1 in
    --corpus) corpus=$2 ;;
    --seed) seed=$2 ;;
    --more_concepts) asked=$2 ;;
    *) sed -n 2,9p "$0"; exit 2 ;;
  esac
  shift 2
done
case $corpus-$asked in
  coco- | coco-no) recipe=flickr8k_coco classifier=no ;;
  coco-yes) recipe=flickr8k_coco_classifier classifier=yes ;;
  flickr30k- | flickr30k-yes) recipe=flickr8k_flickr30k classifier=yes ;;
  flickr30k-no) recipe=flickr8k_flickr30k_no_classifier classifier=no ;;
  *) echo "ERROR: --corpus $corpus --more_concepts $asked: expected coco or flickr30k, yes or no" >&2; exit 2 ;;
esac
export UIC_REALDATA=${UIC_REALDATA:-../shared/realdata}
for needed in corpora flickr8k models; do
  [ -d "$UIC_REALDATA/$needed" ] && continue
  echo "ERROR: $UIC_REALDATA/$needed is missing; set UIC_REALDATA to the folder that holds it" >&2
  exit 1
done
source scripts/setup.sh requirements.txt

data=data/flickr8k_$corpus${asked:+_$asked} runs=runs/flickr8k_$corpus${asked:+_$asked}
expected=${data}_expected
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }

prepare() {  # prepare WHAT MODULE DATA FLAGS...: a data stage
  step "$1" python -m "$2" --recipe $recipe --data_dir "$3" "${@:4}"
}
prepare "sentences" preprocessing.extract_descriptions "$data"
[ $classifier = no ] || prepare "words of the classifier's labels" preprocessing.classifier_words "$data"
prepare "dictionary and records" preprocessing.process_descriptions "$data"
prepare "objects" preprocessing.detect_objects "$data"
prepare "image records" preprocessing.process_images "$data"
prepare "feature bank" preprocessing.extract_features "$data"
prepare "rows that need no training" evaluation.untrained "$data" --corpus "$corpus" --seed "$seed" \
  --table "$runs/table.json"

train() {  # train MODULE RUN ROW DATA FLAGS...
  step "train $2" python $1 --recipe $recipe/$3 --data_dir "$4" --job_dir "$runs/$2" --seed "$seed" "${@:5}"
}
score() {  # score COMMAND RUN ROW: every checkpoint, by beam search and greedily
  local flags=(--job_dir "$runs/$2" --row "$3" --corpus "$corpus")
  step "scores of $2's checkpoints, beam search" python $1 "${flags[@]}"
  step "scores of $2's checkpoints, greedy" python $1 "${flags[@]}" --decode greedy
}
train "-m initialization.obj2sen" obj2sen con2sen "$data"
score "-m initialization.eval_obj2sen" obj2sen con2sen
# Image vectors are replaced by predicted caption embeddings; im_caption learns the corpus sentence that fits each best;
# the full model is rewarded for captions that fit them (docs/consensus.md).
prepare "predicted caption embeddings" initialization.predict_caption_embeddings "$data"
prepare "captions assigned to embeddings" initialization.assign_captions "$expected"
train "-m initialization.im_caption" feat2sen feat2sen "$expected"
score eval_val.py feat2sen feat2sen
train train.py full full "$expected" --imcap_ckpt "$runs/feat2sen"
score eval_val.py full full
train train.py scratch scratch "$data"
score eval_val.py scratch scratch
train "-m baselines.r2m" r2m r2m "$data" --table "$runs/table.json" --corpus "$corpus"
step "collect the scored rows" python -m evaluation.results --add "$runs/table.json" \
  --experiment $recipe --archive "$runs/results"
step "the table (development images)" python -m evaluation.table "$runs/table.json"
