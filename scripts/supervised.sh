#!/usr/bin/env bash
# The supervised neighbours as upper bounds: Show and Tell and Show, Attend and Tell, from image-caption pairs, cross
# entropy and then self-critical training on CIDEr-D. Interrupted, the same command goes on.
#   scripts/supervised.sh miniature [--seed 1]    needs data/miniature (scripts/demo.sh makes it)
#   scripts/supervised.sh flickr8k [--seed 1]     needs $UIC_REALDATA; reads the captions of the training photographs,
#                                                 which no unsupervised run may
# Results: runs/WORLD_supervised/{show_tell,show_attend_tell}, runs/WORLD_supervised/table.json.
set -euo pipefail
cd "$(dirname "$0")/.."
world=${1:-} seed=1
[ "${2:-}" = --seed ] && seed=${3:?--seed needs a number}
real=${UIC_REALDATA:-../shared/realdata}
runs=runs/${world}_supervised
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }

case $world in
  miniature)
    pooled=data/miniature cells=data/miniature_cells pairs=data/miniature/raw/train_pairs.jsonl
    [ -f $pooled/features_train.json ] || { echo "ERROR: $pooled is not complete: run scripts/demo.sh" >&2; exit 1; }
    source scripts/setup.sh requirements.txt
    encoder=compact:$pooled/encoder/compact.npz#grid
    ;;
  flickr8k)
    pooled=data/flickr8k_supervised cells=data/flickr8k_supervised_cells pairs=$pooled/train_captions.jsonl
    network=$real/models/tf2_mobilenet_v2_1.0_224_ptq.tflite
    [ -f "$network" ] || { echo "ERROR: $network is missing; set UIC_REALDATA to the folder that holds it" >&2; exit 1; }
    source scripts/setup.sh requirements.txt
    labels=$real/models/coco_labels.txt images=$real/flickr8k/images dataset=flickr8k:$real/flickr8k
    encoder=tflite:$network#171
    step "captions of the training photographs" \
      python -m preprocessing.train_captions --data_dir $pooled --dataset "$dataset"
    step "sentences" \
      python -m preprocessing.extract_descriptions --data_dir $pooled --input $pooled/train_captions.txt --min_tokens 3
    step "dictionary of the captions" \
      python -m preprocessing.process_descriptions --data_dir $pooled --class_names "$labels" --new_dict \
      --min_word_count 5 --plurals keep
    step "objects" python -m preprocessing.detect_objects --data_dir $pooled --image_dir "$images" --dataset "$dataset" \
      --detector "$real/models/coco_ssd_mobilenet_v1_quant.tflite" --labels "$labels"
    step "image records" python -m preprocessing.process_images --data_dir $pooled --image_dir "$images" \
      --dataset "$dataset" --score_threshold 0.4
    step "pooled vectors" \
      python -m preprocessing.extract_features --data_dir $pooled --encoder "tflite:$network#172" --crops 4
    ;;
  *) sed -n 2,8p "$0"; exit 2 ;;
esac
export TF_CPP_MIN_LOG_LEVEL=3

# The grids of cells lie in a folder of their own beside the same records.
mkdir -p "$cells"
for file in "$pooled"/*; do
  case $(basename "$file") in features_*) ;; *) ln -sfn "$(realpath "$file")" "$cells/$(basename "$file")" ;; esac
done
step "grids of cells" python -m preprocessing.extract_features --data_dir "$cells" --encoder "$encoder" --crops 1
for system in show_tell show_attend_tell; do
  data=$pooled
  [ $system = show_attend_tell ] && data=$cells
  step "$system" python -m baselines.$system --recipe "${world}_$system" --data_dir "$data" --captions "pairs:$pairs" \
    --job_dir "$runs/$system" --seed "$seed"
  step "$system: scores of the checkpoints" python eval_val.py --job_dir "$runs/$system" --corpus "$world"
done
if [ "$world" = miniature ]; then
  step "attention on the named objects" python -m evaluation.attention_boxes --job_dir $runs/show_attend_tell \
    --boxes $pooled/raw/objects.jsonl
fi
step "the table" python -m evaluation.table $runs/table.json
