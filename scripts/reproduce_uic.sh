#!/usr/bin/env bash
# Unsupervised Image Captioning (CVPR 2019) from downloaded data to test scores, with the authors' settings, stage by
# stage. The same command continues after an interruption. Disk and memory are checked at the start.
#
#   scripts/reproduce_uic.sh --image_dir DIR --dataset karpathy:FILE --encoder inception_v4:CKPT \
#     --descriptions FILES --class_names LABELMAP.pbtxt --detector D [--labels FILE]
#     [--word_list GLOVE.txt] [--plurals plural_words.json]  the authors' lists, when a new dictionary is made
#     [--data_dir data/coco] [--runs runs/uic] [--seed 1]
#     [--images bank|records]   bank (default): stored features of 5 crops; records: the encoder in every step
#     [--captions obj2sen|retrieved]  captions that im_caption learns (default obj2sen, as the authors)
#     [--ablations]             trains the rows adv, con, im as well, with and without initialization
#     [--unchecked]             start although disk or memory seem too small
#   scripts/reproduce_uic.sh --smoke [--data_dir D] [--runs R]   the same stages on a tiny drawn world, a few steps each
#
# Without --descriptions the authors' released sentence.tfrec and word_counts.txt are expected in --data_dir, without
# --detector released image_{train,val,test}.tfrec. --dataset holds Karpathy's splits: dataset_coco.json, or the authors'
# lists with COCO's annotations (coco:DIR), or jsonl:DIR; training captions are never read. Downloads:
# scripts/download.sh coco, uic, openimages, inception_v4.
set -euo pipefail
cd "$(dirname "$0")/.."
data=data/coco runs=runs/uic seed=1 image_dir="" dataset="" encoder="" descriptions="" class_names="" detector=""
labels="" word_list="" plurals=inflect images=bank captions=obj2sen ablations=no unchecked=no smoke=no
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --runs) runs=$2; shift ;;
    --seed | --image_dir | --dataset | --encoder | --descriptions | --class_names | --detector | --labels | --word_list \
      | --plurals | --images | --captions) declare "${1#--}=$2"; shift ;;
    --ablations | --unchecked | --smoke) declare "${1#--}=yes" ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
source scripts/setup.sh requirements.txt
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }
fail() { echo "ERROR: $*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------------ settings
# Settings: configs/coco_shutterstock.py, coco_shutterstock_in_step.py (--images records), coco_shutterstock_smoke.py.
recipe=coco_shutterstock in_step=() metrics=() test_metrics=()
check=(--data_dir "$data" --runs "$runs" --images "$images")
[ "$images" = bank ] || recipe=coco_shutterstock_in_step in_step=(--inc_ckpt "$encoder")
if [ $smoke = yes ]; then
  [ "$images" = bank ] || fail "--smoke works only with --images bank"
  [ "$data" = data/coco ] && data=data/smoke
  [ "$runs" = runs/uic ] && runs=runs/smoke
  check=(--data_dir "$data" --runs "$runs" --smoke)
  recipe=coco_shutterstock_smoke metrics=(--metrics BLEU,CIDEr) test_metrics=(--metrics BLEU,CIDEr)
fi
[ $unchecked = yes ] || python -m scripts.uic_cost "${check[@]}"

# ------------------------------------------------------------------------------------------------------ data
prepare() {  # prepare WHAT MODULE FLAGS...: a data stage
  step "$1" python -m "$2" --recipe $recipe --data_dir "$data" "${@:3}"
}
if [ $smoke = yes ]; then
  prepare "a tiny drawn world" preprocessing.make_miniature
  descriptions=$data/raw/descriptions class_names=$data/raw/classes.txt dataset=jsonl:$data/raw
  image_dir=$data/raw/images detector=annotations:$data/raw/detections.jsonl encoder=compact:$data/encoder/compact.npz
fi
[ -n "$encoder" ] || fail "--encoder is missing: inception_v4:CKPT, slim's inception_v4.ckpt of 2016-09-09"
if [ -n "$descriptions" ]; then
  [ -n "$class_names" ] || fail "--class_names is missing: oid_bbox_trainable_label_map.pbtxt, or names one a line"
  prepare "raw text -> sentences" preprocessing.extract_descriptions --input "$descriptions"
  prepare "sentences -> dictionary and records" preprocessing.process_descriptions --class_names "$class_names" \
    --plurals "$plurals" ${word_list:+--word_list "$word_list"}
fi
if [ -n "$detector" ]; then
  [ -n "$image_dir" ] && [ -n "$dataset" ] || fail "--image_dir and --dataset are missing: photographs and splits"
  prepare "photographs -> objects" preprocessing.detect_objects --image_dir "$image_dir" --dataset "$dataset" \
    --detector "$detector" ${labels:+--labels "$labels"}
  prepare "photographs and objects -> records" preprocessing.process_images --image_dir "$image_dir" --dataset "$dataset"
fi
prepare "photographs -> feature bank" preprocessing.extract_features --encoder "$encoder"
prepare "rows that need no training" evaluation.untrained --table "$runs/table.json" --seed "$seed" "${metrics[@]}"

# ------------------------------------------------------------------------------------------------------ initialization
# Every stage starts from the best checkpoint of the one before: by BLEU-3 + BLEU-4 on validation if it captions images,
# by the loss on held-out sentences if it only reads sentences.
train() {  # train MODULE RUN ROW FLAGS...
  step "train $2" python $1 --recipe $recipe/$3 --data_dir "$data" --job_dir "$runs/$2" --seed "$seed" "${@:4}"
}
score() {  # score RUN: every checkpoint on validation, the best one on test
  step "score $1 on validation" python eval_val.py --job_dir "$runs/$1" --row "$1" "${metrics[@]}"
  step "score $1 on test" python eval_test.py --job_dir "$runs/$1" --row "$1" "${test_metrics[@]}"
}
train "-m initialization.obj2sen" obj2sen con2sen
step "score con2sen on validation" python -m initialization.eval_obj2sen --job_dir "$runs/obj2sen" "${metrics[@]}"
step "score con2sen on test" python -m initialization.eval_obj2sen --job_dir "$runs/obj2sen" --split test \
  "${test_metrics[@]}"
if [ "$captions" = obj2sen ]; then
  prepare "pseudo captions" initialization.gen_obj2sen_caption --job_dir "$runs/obj2sen"
else
  prepare "pseudo captions" initialization.retrieve_captions
fi
train "-m initialization.im_caption" feat2sen feat2sen --captions "$captions" --o2s_ckpt "$runs/obj2sen" "${in_step[@]}"
score feat2sen
train "-m initialization.sentence_ae" sentence_ae sentence_ae
train "-m initialization.sentence_gan" sentence_gan sentence_gan --sae_ckpt "$runs/sentence_ae"

# ------------------------------------------------------------------------------------------------------ the full model
rows=(full)
[ $ablations = yes ] && rows=(adv con im full)
for row in "${rows[@]}"; do
  train train.py "$row" "$row" "${in_step[@]}" --imcap_ckpt "$runs/feat2sen" --sae_ckpt "$runs/sentence_gan"
  score "$row"
  without=scratch_$row
  [ "$row" = full ] && without=scratch
  train train.py "$without" "$row" "${in_step[@]}"
  score "$without"
done
step "collect the scored rows" python -m evaluation.results --add "$runs/table.json" \
  --experiment $recipe --archive "$runs/results"
step "the table" python -m evaluation.table "$runs/table.json" --published
