#!/usr/bin/env bash
# R2M (Recurrent Relational Memory Network, IJCAI 2020) from downloaded data to test scores, stage by stage, with the
# authors' settings (--semantics fixed: their quirks corrected). The same command continues after an interruption.
#
#   scripts/reproduce_r2m.sh --setting coco_shutterstock|flickr30k_coco|coco_gcc
#     --image_dir DIR --dataset KIND:PATH --detector D [--labels FILE] --encoder inception_v4:CKPT
#     --descriptions FILES --class_names LABELMAP.pbtxt
#     [--word_list GLOVE.txt]   only words of this file enter the dictionary
#     [--plurals FILE.json]     the authors' table of plurals; default: by rule
#     [--coco_words FILE]       coco_gcc: keep sentences that contain one of these words
#     [--semantics reference|fixed] [--data_dir data/r2m_SETTING] [--runs runs/r2m_SETTING] [--seed 1]
#   scripts/reproduce_r2m.sh --smoke [--data_dir D] [--runs R]   the same stages on a tiny drawn world, a few steps each
#
# The settings name images and sentences: COCO <- Shutterstock, Flickr30k <- COCO, COCO <- Conceptual Captions. The image
# captions of --dataset are read for validation and test alone.
set -euo pipefail
cd "$(dirname "$0")/.."
setting="" data="" runs="" seed=1 image_dir="" dataset="" detector="" labels="" encoder="" descriptions="" class_names=""
word_list="" plurals=inflect coco_words="" semantics=reference smoke=no
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --setting | --runs | --seed | --image_dir | --dataset | --detector | --labels | --encoder | --descriptions \
      | --class_names | --word_list | --plurals | --coco_words | --semantics) declare "${1#--}=$2"; shift ;;
    --smoke) smoke=yes ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
source scripts/setup.sh requirements.txt
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }
fail() { echo "ERROR: $*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------------ settings
# The settings are in configs/r2m_SETTING.py and configs/r2m_smoke.py.
recipe=r2m_$setting metrics=(--metrics BLEU,METEOR,ROUGE-L,CIDEr)
if [ $smoke = yes ]; then
  setting=${setting:-smoke} recipe=r2m_smoke metrics=(--metrics BLEU,CIDEr)
fi
data=${data:-data/r2m_$setting} runs=${runs:-runs/r2m_$setting}
case $setting in
  coco_shutterstock | flickr30k_coco | smoke) ;;
  coco_gcc) [ $smoke = yes ] || [ -n "$coco_words" ] || fail "--coco_words is missing: words of COCO, one a line" ;;
  *) fail "--setting ${setting:-is missing}: expected coco_shutterstock, flickr30k_coco or coco_gcc" ;;
esac

# ------------------------------------------------------------------------------------------------------ data
prepare() {  # prepare WHAT MODULE FLAGS...: a data stage
  step "$1" python -m "$2" --recipe "$recipe" --data_dir "$data" "${@:3}"
}
if [ $smoke = yes ]; then
  prepare "a tiny drawn world" preprocessing.make_miniature
  coco_words=$data/words.txt
  tr '[:upper:]' '[:lower:]' < "$data/raw/classes.txt" > "$coco_words"
  descriptions=$data/raw/descriptions class_names=$data/raw/classes.txt dataset=jsonl:$data/raw
  image_dir=$data/raw/images detector=annotations:$data/raw/detections.jsonl encoder=compact:$data/encoder/compact.npz
fi
for needed in image_dir dataset detector encoder descriptions class_names; do
  [ -n "${!needed}" ] || fail "--$needed is missing, see the head of scripts/reproduce_r2m.sh"
done
prepare "raw text -> sentences" preprocessing.extract_descriptions --input "$descriptions"
prepare "sentences -> dictionary and records" preprocessing.process_descriptions --class_names "$class_names" \
  --plurals "$plurals" ${word_list:+--word_list "$word_list"} ${coco_words:+--only_with "$coco_words"}
prepare "photographs -> objects" preprocessing.detect_objects --image_dir "$image_dir" --dataset "$dataset" \
  --detector "$detector" ${labels:+--labels "$labels"}
prepare "photographs and objects -> records" preprocessing.process_images --image_dir "$image_dir" --dataset "$dataset"
prepare "photographs -> feature bank" preprocessing.extract_features --encoder "$encoder"

# ------------------------------------------------------------------------------------------------------ training
step "the four stages, scored on validation" python -m baselines.r2m --recipe "$recipe/r2m" --semantics "$semantics" \
  --data_dir "$data" --job_dir "$runs/r2m" --table "$runs/table.json" --seed "$seed" "${metrics[@]}" \
  --detector "$detector" ${labels:+--labels "$labels"}
for stage in xe xe_rec tri tri_rec; do
  row=r2m_$stage
  [ $stage = tri_rec ] && row=r2m
  step "score $stage on test" python eval_test.py --job_dir "$runs/r2m/$stage" --row "$row" \
    --table "$runs/table.json" "${metrics[@]}"
done
step "collect the scored rows" python -m evaluation.results --add "$runs/table.json" \
  --experiment $recipe --archive "$runs/results"
step "the table" python -m evaluation.table "$runs/table.json" --published
