#!/usr/bin/env bash
# Makes a table of results in the miniature world, in about twenty minutes on two cores: draws the world, runs every
# stage, trains captioners without image-caption pairs, with and without the initialization, and one on true pairs
# (supervised_ceiling). Scores them on the test images, together with the rows that need no training; RUNS/report.html
# shows them. The same command continues after an interruption.
#   scripts/demo.sh [--data_dir data/miniature] [--runs runs/demo] [--seeds 1] [--ablations] [--baselines] [--smoke]
# --seeds N: trains all rows with the seeds 1 to N; the table shows mean and standard deviation.
# --ablations: also the paper's ablation, with and without initialization: six rows more, 20 minutes a seed.
# --baselines: also R2M's four stages, 10 minutes a seed. (scripts/supervised.sh miniature: the supervised systems.)
# --smoke: the same stages on a tiny world with a few updates, to see that they run; its scores mean nothing.
# All settings are in configs/miniature.py (--smoke: configs/miniature_smoke.py). RUNS/results has what was scored, in the
# layout of the archive results/ (docs/results/archive.md).
set -euo pipefail
cd "$(dirname "$0")/.."
data=data/miniature runs=runs/demo seeds=1 recipe=miniature ablations=no baselines=no
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --runs) runs=$2; shift ;;
    --seeds) seeds=$2; shift ;;
    --ablations) ablations=yes ;;
    --baselines) baselines=yes ;;
    --smoke) recipe=miniature_smoke ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
source scripts/setup.sh requirements.txt

step() { echo; echo "== $1"; shift; echo "\$ $*"; "$@"; }
table=$runs/table.json

prepare() {  # prepare WHAT MODULE FLAGS...: a data stage
  step "$1" python -m "$2" --recipe "$recipe" --data_dir "$data" "${@:3}"
}
prepare "draw the world, train its small encoder" preprocessing.make_miniature
prepare "raw text -> sentences" preprocessing.extract_descriptions
prepare "sentences -> dictionary and records" preprocessing.process_descriptions
prepare "photographs -> objects" preprocessing.detect_objects
prepare "photographs and objects -> records" preprocessing.process_images
prepare "photographs -> feature bank" preprocessing.extract_features
prepare "rows that need no training" evaluation.untrained --table "$table" --seed 1
prepare "pseudo captions: sentences that fit the objects of an image and its neighbours" initialization.retrieve_captions

train() {  # train MODULE RUN ROW FLAGS...
  step "train $2" python $1 --recipe "$recipe/$3" --data_dir "$data" --job_dir "$2" --seed "$seed" "${@:4}"
}
score() {  # score RUN ROW: every checkpoint on validation, the best one on test
  step "score the checkpoints of $1 on validation" \
    python eval_val.py --job_dir "$1" --row "$2" --metrics BLEU,CIDEr
  step "score the best one on test" python eval_test.py --job_dir "$1" --row "$2" --table "$table"
}
ablation() {  # ablation PREFIX FLAGS...: the rows without some of the rewards
  local part
  for part in adv con im; do
    train train.py "$folder/$1$part" "$1$part" "${@:2}"
    score "$folder/$1$part" "$1$part"
  done
}
for seed in $(seq "$seeds"); do
  folder=$runs
  [ "$seed" = 1 ] || folder=$runs/seed$seed
  train "-m initialization.obj2sen" "$folder/obj2sen" con2sen
  step "score con2sen on validation" \
    python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --metrics BLEU,CIDEr
  step "score con2sen on test" \
    python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --split test --table "$table"
  train "-m initialization.im_caption" "$folder/feat2sen" feat2sen
  score "$folder/feat2sen" feat2sen
  train train.py "$folder/full" full --imcap_ckpt "$folder/feat2sen"
  score "$folder/full" full
  train train.py "$folder/scratch" scratch
  score "$folder/scratch" scratch
  train "-m initialization.im_caption" "$folder/supervised" supervised_ceiling
  score "$folder/supervised" supervised_ceiling
  if [ $ablations = yes ]; then
    ablation "" --imcap_ckpt "$folder/feat2sen"
    ablation scratch_
  fi
  if [ $baselines = yes ]; then
    train "-m baselines.r2m" "$folder/r2m" r2m --metrics BLEU,CIDEr
    for stage in xe xe_rec tri tri_rec; do
      row=r2m_$stage
      [ $stage = tri_rec ] && row=r2m
      step "score $row on test" python eval_test.py --job_dir "$folder/r2m/$stage" --row $row --table "$table"
    done
  fi
  step "collect the scored rows" python -m evaluation.results --add "$table" --experiment $recipe \
    --archive "$runs/results"
done
step "a page to look at" python -m evaluation.report "$runs"/{full,feat2sen,scratch,supervised} --output "$runs/report.html"
step "the table" python -m evaluation.table "$table"
