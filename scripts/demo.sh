#!/usr/bin/env bash
# Makes a table of results in the miniature world, in about fifteen minutes on two cores: draws the world, runs every stage,
# trains captioners without image-caption pairs, with and without the initialization, and one on true pairs
# (supervised_ceiling). Scores them on the test images, together with the rows that need no training. The first captions,
# of feat2sen, are printed after about three minutes; RUNS/report.html shows the runs and grows with each row. The same
# command continues after an interruption.
#   scripts/demo.sh [--data_dir data/miniature] [--runs runs/demo] [--seeds 1] [--only ROWS] [--ablations] [--baselines]
#                   [--chain] [--smoke]
# --seeds N: trains all rows with the seeds 1 to N; the table shows mean and standard deviation.
# --only ROWS: the rows to train, separated by commas, of feat2sen, full (starts from feat2sen, which is trained as well),
#   con2sen, supervised_ceiling, scratch, and those of the flags below. Without it: the first five.
# --ablations: also the paper's ablation, with and without initialization: adv, con, im, scratch_adv, scratch_con,
#   scratch_im; 20 minutes a seed.
# --baselines: also r2m, R2M's four stages; 10 minutes a seed. (scripts/supervised.sh miniature: the supervised systems.)
# --chain: also the paper's own initialization and losses: chain_start learns the captions that obj2sen (the row con2sen)
#   makes from detections; from it chain_adv, chain_con, chain_im and chain, the paper's ablation; 15 minutes a seed.
# --smoke: the same stages on a tiny world with a few updates, to see that they run; its scores mean nothing.
# All settings are in configs/miniature.py (--smoke: configs/miniature_smoke.py). RUNS/results has what was scored, in the
# layout of the archive results/ (docs/results/archive.md).
set -euo pipefail
cd "$(dirname "$0")/.."
data=data/miniature runs=runs/demo seeds=1 recipe=miniature rows=feat2sen,full,con2sen,supervised_ceiling,scratch more=""
while [ $# -gt 0 ]; do
  case $1 in
    --data_dir) data=$2; shift ;;
    --runs) runs=$2; shift ;;
    --seeds) seeds=$2; shift ;;
    --only) rows=$2; shift ;;
    --ablations) more=$more,adv,con,im,scratch_adv,scratch_con,scratch_im ;;
    --baselines) more=$more,r2m ;;
    --chain) more=$more,chain_start,chain_adv,chain_con,chain_im,chain ;;
    --smoke) recipe=miniature_smoke ;;
    *) sed -n '2,/^set/{/^#/p}' "$0"; exit 2 ;;
  esac
  shift
done
all="feat2sen full con2sen supervised_ceiling scratch adv con im scratch_adv scratch_con scratch_im r2m"
all="$all chain_start chain_adv chain_con chain_im chain"
rows=$rows$more
for row in ${rows//,/ }; do
  case " $all " in *" $row "*) ;; *) echo "ERROR: --only $row: expected some of ${all// /,}" >&2; exit 2 ;; esac
  case $row in  # they start from it
    full | adv | con | im) rows=feat2sen,$rows ;;
    chain*) rows=con2sen,chain_start,$rows ;;
  esac
done
source scripts/setup.sh requirements.txt

SECONDS=0  # the shell counts from here: without the installation
step() { echo; echo "== $1"; shift; echo "\$ $*"; "$@"; }
took() { echo; printf '== %s after %d min %02d s\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
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
pages=()  # the runs of seed 1 that RUNS/report.html shows
show() {  # show RUN: adds it to the page
  pages+=("$1")
  step "a page to look at" python -m evaluation.report "${pages[@]}" --output "$runs/report.html"
}
make_row() {  # make_row ROW: trains and scores it
  local stage name
  case $1 in
    feat2sen)
      train "-m initialization.im_caption" "$folder/feat2sen" feat2sen
      [ "$seed" != 1 ] || step "first captions: eight test pictures" \
        python caption.py --job_dir "$folder/feat2sen" "$data"/raw/images/test_0000[0-7].jpg
      [ "$seed" != 1 ] || took "first captions"
      score "$folder/feat2sen" feat2sen
      ;;
    con2sen)
      train "-m initialization.obj2sen" "$folder/obj2sen" con2sen
      step "score con2sen on validation" \
        python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --metrics BLEU,CIDEr
      step "score con2sen on test" \
        python -m initialization.eval_obj2sen --job_dir "$folder/obj2sen" --split test --table "$table"
      ;;
    supervised_ceiling)
      train "-m initialization.im_caption" "$folder/supervised" supervised_ceiling
      score "$folder/supervised" supervised_ceiling
      ;;
    scratch*)
      train train.py "$folder/$1" "$1"
      score "$folder/$1" "$1"
      ;;
    r2m)
      train "-m baselines.r2m" "$folder/r2m" r2m --metrics BLEU,CIDEr
      for stage in xe xe_rec tri tri_rec; do
        name=r2m_$stage
        [ $stage = tri_rec ] && name=r2m
        step "score $name on test" python eval_test.py --job_dir "$folder/r2m/$stage" --row $name --table "$table"
      done
      ;;
    chain_start)
      # Made once: all seeds learn the captions of the first one's obj2sen.
      [ "$seed" != 1 ] || step "captions that obj2sen makes from detections" \
        python -m initialization.gen_obj2sen_caption --job_dir "$runs/obj2sen" --data_dir "$data"
      train "-m initialization.im_caption" "$folder/chain_start" chain_start
      score "$folder/chain_start" chain_start
      ;;
    chain*)
      train train.py "$folder/$1" "$1" --imcap_ckpt "$folder/chain_start"
      score "$folder/$1" "$1"
      ;;
    full | adv | con | im)
      train train.py "$folder/$1" "$1" --imcap_ckpt "$folder/feat2sen"
      score "$folder/$1" "$1"
      ;;
  esac
}
for seed in $(seq "$seeds"); do
  folder=$runs
  [ "$seed" = 1 ] || folder=$runs/seed$seed
  for row in $all; do
    case ,$rows, in *,$row,*) ;; *) continue ;; esac
    make_row $row
    case $seed-$row in
      1-feat2sen | 1-full | 1-scratch) show "$runs/$row" ;;
      1-supervised_ceiling) show "$runs/supervised" ;;
    esac
  done
done
step "collect the scored rows" python -m evaluation.results --add "$table" --experiment $recipe --archive "$runs/results"
step "the table" python -m evaluation.table "$table"
took "done"
