#!/usr/bin/env bash
# R2M (Recurrent Relational Memory Network, IJCAI 2020) from downloaded data to test scores, stage by stage, with the
# authors' settings (--semantics fixed: their quirks corrected). Interrupted at any point, the same command goes on.
#
#   scripts/reproduce_r2m.sh --setting coco_shutterstock|flickr30k_coco|coco_gcc
#     --image_dir DIR --dataset KIND:PATH --detector D [--labels FILE] --encoder inception_v4:CKPT
#     --descriptions FILES --class_names LABELMAP.pbtxt
#     [--word_list GLOVE.txt]   only words of this file enter the dictionary
#     [--plurals FILE.json]     the authors' table; default by rule
#     [--coco_words FILE]       coco_gcc: keep sentences that hold one of these words
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
export TF_CPP_MIN_LOG_LEVEL=3
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }
fail() { echo "ERROR: $*" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------------ settings
# Least counts: 15 is the authors' for GCC, 40 what UIC took for Shutterstock; for COCO's captions none is known, 4 is
# what the captioning tutorials take.
tokenizer=nltk_punkt min_tokens=8 crops=4 small=() metrics=(--metrics BLEU,METEOR,ROUGE-L,CIDEr)
case $setting in
  coco_shutterstock) min_count=40 ;;
  flickr30k_coco) min_count=4 ;;
  coco_gcc) min_count=15; [ -n "$coco_words" ] || fail "--coco_words is missing: words of COCO, one a line" ;;
  *) [ $smoke = yes ] || fail "--setting ${setting:-is missing}: expected coco_shutterstock, flickr30k_coco or coco_gcc" ;;
esac
data=${data:-data/r2m_${setting:-smoke}} runs=${runs:-runs/r2m_${setting:-smoke}} recipe=r2m_$setting
if [ $smoke = yes ]; then
  tokenizer=nltk_word min_count=3 crops=1 recipe=r2m_coco_gcc metrics=(--metrics BLEU,CIDEr) coco_words=$data/words.txt
  small=(--emb_dim 16 --mem_dim 16 --batch_size 16 --max_steps 4 --save_checkpoint_steps 2 --save_summary_steps 2)
fi

# ------------------------------------------------------------------------------------------------------ data
if [ $smoke = yes ]; then
  step "a tiny drawn world" python -m preprocessing.make_miniature --data_dir "$data" --train_images 120 \
    --val_images 60 --test_images 60 --sentences 1500 --encoder_images 480 --encoder_epochs 1
  tr '[:upper:]' '[:lower:]' < "$data/raw/classes.txt" > "$coco_words"
  descriptions=$data/raw/descriptions class_names=$data/raw/classes.txt dataset=jsonl:$data/raw
  image_dir=$data/raw/images detector=annotations:$data/raw/detections.jsonl encoder=compact:$data/encoder/compact.npz
fi
for needed in image_dir dataset detector encoder descriptions class_names; do
  [ -n "${!needed}" ] || fail "--$needed is missing, see the head of scripts/reproduce_r2m.sh"
done
step "raw text -> sentences of at least 8 words" python -m preprocessing.extract_descriptions --data_dir "$data" \
  --input "$descriptions" --tokenizer $tokenizer --min_tokens $min_tokens
step "sentences -> dictionary and records" python -m preprocessing.process_descriptions --data_dir "$data" \
  --class_names "$class_names" --new_dict --min_word_count $min_count --plurals "$plurals" \
  ${word_list:+--word_list "$word_list"} ${coco_words:+--only_with "$coco_words"}
step "photographs -> objects" python -m preprocessing.detect_objects --data_dir "$data" --image_dir "$image_dir" \
  --dataset "$dataset" --detector "$detector" ${labels:+--labels "$labels"}
step "photographs and objects -> records" python -m preprocessing.process_images --data_dir "$data" \
  --image_dir "$image_dir" --dataset "$dataset" --score_threshold 0.3
step "photographs -> feature bank" python -m preprocessing.extract_features --data_dir "$data" --encoder "$encoder" \
  --splits train --crops $crops

# ------------------------------------------------------------------------------------------------------ training
step "the four stages, scored on validation" python -m baselines.r2m --recipe "$recipe" --semantics "$semantics" \
  --data_dir "$data" --job_dir "$runs/r2m" --table "$runs/table.json" --seed "$seed" "${metrics[@]}" \
  --detector "$detector" ${labels:+--labels "$labels"} "${small[@]}"
for stage in xe xe_rec tri tri_rec; do
  row=r2m_$stage
  [ $stage = tri_rec ] && row=r2m
  step "score $stage on test" python eval_test.py --job_dir "$runs/r2m/$stage" --row "$row" \
    --table "$runs/table.json" "${metrics[@]}"
done
step "the table" python -m evaluation.table "$runs/table.json" --published
