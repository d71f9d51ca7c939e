#!/usr/bin/env bash
# The main experiment: Flickr8k photographs, sentences that describe other photographs, detectors and classifiers.
# No image-sentence pair is used for training; the 1,000 development images with their captions only choose the
# checkpoints and give the scores. Data are read from $UIC_REALDATA. The same command continues after an interruption.
#   scripts/flickr8k.sh [--corpus coco|flickr30k] [--eyes wide|ssd] [--only con2sen,feat2sen,full,scratch] [--seeds 1]
#                       [--paper_losses] [--sentence_encoder minilm|tfidf]
# --eyes ssd: one detector of 80 classes and one encoder. wide: also Open Images and Places classes, a better classifier,
#   three encoders, and sentence vectors (docs/consensus.md, C8); full starts from distilled, which is feat2sen trained
#   further on the best captions of its own beam.
# --only: the rows to train, also distilled and r2m. Rows that need no training are always scored; with the wide eyes
#   full needs distilled.
# --seeds N: trains the rows with the seeds 1 to N; the data are made once. --seed S: the seed S alone, in the same folder.
# --sentence_encoder tfidf: sentence vectors computed from the corpus, in place of MiniLM, which was trained on pairs of
#   sentences; its runs are in runs/flickr8k_CORPUS_wide_tfidf. For the wide eyes alone.
# --paper_losses: the row full without the consensus reward, in the folder full_paper.
# --more_concepts yes|no: --eyes ssd, with or without a classifier's words beside the detector's classes, in separate
#   folders (flickr8k_CORPUS_yes).
# All settings are in configs/: flickr8k_CORPUS_wide.py, flickr8k_CORPUS_wide_tfidf.py; with --eyes ssd flickr8k_coco.py,
# flickr8k_flickr30k.py, flickr8k_coco_classifier.py (--more_concepts yes), flickr8k_flickr30k_no_classifier.py (no).
# Results: runs/flickr8k_CORPUS_wide/full (the run), b34.json in it, table.json and results/ beside it; with --eyes ssd in
# runs/flickr8k_CORPUS. Further seeds: seedS/ beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=coco eyes=wide rows=con2sen,feat2sen,full,scratch seeds=1 asked="" first=1 losses="" vectors=minilm
while [ $# -gt 0 ]; do
  case $1 in
    --corpus) corpus=$2; shift ;;
    --eyes) eyes=$2; shift ;;
    --only) rows=$2; shift ;;
    --seeds) seeds=$2; shift ;;
    --seed) first=$2 seeds=$2; shift ;;
    --paper_losses) losses=paper ;;
    --sentence_encoder) vectors=$2; shift ;;
    --more_concepts) asked=$2 eyes=ssd; shift ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
case $eyes-$corpus-$asked-$vectors in
  wide-coco--minilm | wide-flickr30k--minilm) recipe=flickr8k_${corpus}_wide ;;
  wide-coco--tfidf | wide-flickr30k--tfidf) recipe=flickr8k_${corpus}_wide_tfidf ;;
  ssd-coco--minilm | ssd-coco-no-minilm) recipe=flickr8k_coco ;;
  ssd-coco-yes-minilm) recipe=flickr8k_coco_classifier ;;
  ssd-flickr30k--minilm | ssd-flickr30k-yes-minilm) recipe=flickr8k_flickr30k ;;
  ssd-flickr30k-no-minilm) recipe=flickr8k_flickr30k_no_classifier ;;
  *)
    echo "ERROR: --eyes $eyes --corpus $corpus --more_concepts $asked --sentence_encoder $vectors: expected wide or ssd," \
      "coco or flickr30k, yes or no with --eyes ssd, and minilm, or tfidf with --eyes wide" >&2
    exit 2
    ;;
esac
for row in ${rows//,/ }; do
  case $row in
    con2sen | feat2sen | distilled | full | scratch | r2m) ;;
    *) echo "ERROR: --only $row: expected some of con2sen,feat2sen,distilled,full,scratch,r2m" >&2; exit 2 ;;
  esac
done
export UIC_REALDATA=${UIC_REALDATA:-../shared/realdata}
for needed in corpora flickr8k models; do
  [ -d "$UIC_REALDATA/$needed" ] && continue
  echo "ERROR: $UIC_REALDATA/$needed is missing; set UIC_REALDATA to the folder that holds it" >&2
  exit 1
done
needs=requirements.txt
[ $eyes-$vectors != wide-minilm ] || needs=requirements-sentences.txt
source scripts/setup.sh $needs

name=flickr8k_$corpus
[ $eyes = ssd ] || name=${name}_wide
data=data/$name${asked:+_$asked} runs=runs/$name${asked:+_$asked} expected=${data}_expected
[ $vectors = minilm ] || runs=${runs}_$vectors expected=${data}_${vectors}_expected
step() { echo; echo "== $1 ($(date +%H:%M:%S))"; shift; echo "\$ $*"; "$@"; }

prepare() {  # prepare WHAT MODULE DATA FLAGS...: a data stage
  step "$1" python -m "$2" --recipe $recipe --data_dir "$3" "${@:4}"
}
prepare "sentences" preprocessing.extract_descriptions "$data"
case $recipe in
  *_wide* | flickr8k_coco_classifier | flickr8k_flickr30k)
    prepare "words of the classifiers' labels" preprocessing.classifier_words "$data"
    ;;
esac
prepare "dictionary and records" preprocessing.process_descriptions "$data"
prepare "objects" preprocessing.detect_objects "$data"
prepare "image records" preprocessing.process_images "$data"
prepare "feature bank" preprocessing.extract_features "$data"
prepare "rows that need no training" evaluation.untrained "$data" --corpus "$corpus" --seed "$first" --table "$runs/table.json"

train() {  # train MODULE RUN ROW DATA FLAGS...
  step "train $2" python $1 --recipe $recipe/$3 --data_dir "$4" --job_dir "$folder/$2" --seed "$seed" "${@:5}"
}
score() {  # score COMMAND RUN ROW: every checkpoint, by beam search and greedily
  local flags=(--job_dir "$folder/$2" --row "$3" --corpus "$corpus" --table "$runs/table.json")
  step "scores of $2's checkpoints, beam search" python $1 "${flags[@]}"
  step "scores of $2's checkpoints, greedy" python $1 "${flags[@]}" --decode greedy
}
by_consensus=beam60,consensus_weight=3000
[ "$corpus" != coco ] || by_consensus=beam60,consensus_weight=10000
score_fitted() {  # score_fitted RUN ROW: as score; then the checkpoint that beam search chose, its captions by their fit
  score eval_val.py "$1" "$2"
  step "scores of $1, decoding by consensus" python eval_val.py --job_dir "$folder/$1" --row "$2" --corpus "$corpus" \
    --table "$runs/table.json" --steps best --decode "$by_consensus"
}
wanted() { case ,$rows, in *,$1,*) true ;; *) false ;; esac; }
for seed in $(seq "$first" "$seeds"); do
  folder=$runs
  [ "$seed" = "$first" ] || folder=$runs/seed$seed
  if wanted con2sen || [ $recipe = flickr8k_flickr30k ] || [ $recipe = flickr8k_coco_classifier ]; then
    train "-m initialization.obj2sen" obj2sen con2sen "$data"
    wanted con2sen && score "-m initialization.eval_obj2sen" obj2sen con2sen
  fi
  if wanted feat2sen || wanted distilled || wanted full; then
    if [ "$seed" = "$first" ]; then
      # Image vectors are replaced by predicted caption embeddings; im_caption learns the corpus sentence that fits each
      # best; the full model is rewarded for captions that fit them (docs/consensus.md).
      prepare "predicted caption embeddings" initialization.predict_caption_embeddings "$data"
      prepare "captions assigned to embeddings" initialization.assign_captions "$expected"
    fi
    train "-m initialization.im_caption" feat2sen feat2sen "$expected"
    score_fitted feat2sen feat2sen
    start=feat2sen
    if [ $eyes = wide ] && { wanted distilled || wanted full; }; then
      start=distilled
      step "captions chosen from the beam of feat2sen" python -m initialization.choose_captions --job_dir "$folder/feat2sen"
      train "-m initialization.im_caption" distilled distilled "$expected"
      score_fitted distilled distilled
    fi
  fi
  if wanted full; then
    run=full row=full
    [ -z "$losses" ] || run=full_paper row=full_without_consensus
    train train.py $run $row "$expected" --imcap_ckpt "$folder/$start"
    score_fitted $run $row
  fi
  if wanted scratch; then
    train train.py scratch scratch "$data"
    score eval_val.py scratch scratch
  fi
  if wanted r2m; then
    train "-m baselines.r2m" r2m r2m "$data" --table "$runs/table.json" --corpus "$corpus"
  fi
done
step "collect the scored rows" python -m evaluation.results --add "$runs/table.json" \
  --experiment $recipe --archive "$runs/results"
step "the table (development images)" python -m evaluation.table "$runs/table.json"
