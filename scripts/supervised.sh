#!/usr/bin/env bash
# Trains supervised systems as upper bounds: Show and Tell and Show, Attend and Tell, on image-caption pairs, with cross
# entropy and then self-critical training on CIDEr-D. The same command continues after an interruption.
#   scripts/supervised.sh miniature [--seeds 1]    needs data/miniature (scripts/demo.sh makes it)
#   scripts/supervised.sh flickr8k [--seeds 1]     needs $UIC_REALDATA; reads the captions of the training photographs,
#                                                  which no unsupervised run may read
# --seeds N: trains both with the seeds 1 to N; the data are made once. --seed S: the seed S alone, in the same folder.
# Results: runs/WORLD_supervised/{show_tell,show_attend_tell}, runs/WORLD_supervised/table.json; further seeds: seedS/.
# All settings are in configs/miniature.py and configs/flickr8k_coco.py.
set -euo pipefail
cd "$(dirname "$0")/.."
world=${1:-} first=1 seeds=1 experiment=flickr8k_supervised
case ${2:-} in
  "") ;;
  --seeds) seeds=${3:?--seeds needs a number} ;;
  --seed) first=${3:?--seed needs a number} seeds=$3 ;;
  *) echo "ERROR: $2: expected --seeds N or --seed S" >&2; exit 2 ;;
esac
runs=runs/${world}_supervised
export UIC_REALDATA=${UIC_REALDATA:-../shared/realdata}
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }
prepare() {  # prepare WHAT MODULE RECIPE DATA: a data stage
  step "$1" python -m "$2" --recipe "$3" --data_dir "$4"
}

case $world in
  miniature)
    recipe=miniature experiment=miniature pooled=data/miniature cells=data/miniature_cells pairs=data/miniature/raw/train_pairs.jsonl
    [ -f $pooled/features_train.json ] || { echo "ERROR: $pooled is not complete: run scripts/demo.sh" >&2; exit 1; }
    source scripts/setup.sh requirements.txt
    ;;
  flickr8k)
    recipe=flickr8k_coco pooled=data/flickr8k_supervised cells=data/flickr8k_supervised_cells
    pairs=$pooled/train_captions.jsonl
    [ -d "$UIC_REALDATA/models" ] || {
      echo "ERROR: $UIC_REALDATA/models is missing; set UIC_REALDATA to the folder that holds it" >&2
      exit 1
    }
    source scripts/setup.sh requirements.txt
    prepare "captions of the training photographs" preprocessing.train_captions $recipe $pooled
    prepare "sentences" preprocessing.extract_descriptions $recipe/supervised $pooled
    prepare "dictionary of the captions" preprocessing.process_descriptions $recipe/supervised $pooled
    prepare "objects" preprocessing.detect_objects $recipe $pooled
    prepare "image records" preprocessing.process_images $recipe $pooled
    prepare "pooled vectors" preprocessing.extract_features $recipe $pooled
    ;;
  *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
esac

# The grids of cells have a folder of their own, with links to the same records.
mkdir -p "$cells"
for file in "$pooled"/*; do
  case $(basename "$file") in features_*) ;; *) ln -sfn "$(realpath "$file")" "$cells/$(basename "$file")" ;; esac
done
prepare "grids of cells" preprocessing.extract_features $recipe/cells $cells
for seed in $(seq "$first" "$seeds"); do
  folder=$runs
  [ "$seed" = "$first" ] || folder=$runs/seed$seed
  for system in show_tell show_attend_tell; do
    data=$pooled
    [ $system = show_attend_tell ] && data=$cells
    step "$system" python -m baselines.$system --recipe $recipe/$system --data_dir "$data" --captions "pairs:$pairs" \
      --job_dir "$folder/$system" --seed "$seed"
    step "$system: scores of the checkpoints" python eval_val.py --job_dir "$folder/$system" --corpus "$world" \
      --table "$runs/table.json"
    [ "$world" = flickr8k ] || step "$system: score of the best one on test" \
      python eval_test.py --job_dir "$folder/$system" --corpus "$world" --table "$runs/table.json"
  done
  if [ "$world" = miniature ]; then
    step "attention on the named objects" python -m evaluation.attention_boxes --job_dir "$folder/show_attend_tell" \
      --boxes $pooled/raw/objects.jsonl
  fi
done
step "collect the scored rows" python -m evaluation.results --add "$runs/table.json" \
  --experiment $experiment --archive "$runs/results"
step "the table" python -m evaluation.table "$runs/table.json"
