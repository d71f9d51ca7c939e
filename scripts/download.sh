#!/usr/bin/env bash
# Downloads data sets and networks: scripts/download.sh NAME [TO] [flags of scripts.download]
#   coco         MS COCO of 2014 with Karpathy's splits, 20 GB: --image_dir TO/coco/images
#                --dataset karpathy:TO/karpathy/dataset_coco.json
#   flickr8k     1.1 GB, with Karpathy's splits: --image_dir TO/flickr8k/images --dataset flickr8k:TO/flickr8k
#   flickr30k    4.4 GB; the owners require a form first, see data/MANIFEST.json: --dataset flickr30k:TO/flickr30k
#   pascal       the PASCAL sentences with their 1,000 photographs: --image_dir TO/pascal/images --dataset pascal:TO/pascal
#   gcc          Conceptual Captions, texts and addresses, 0.5 GB: extract_descriptions
#                --input gcc:TO/gcc/Train_GCC-training.tsv
#   openimages   the UIC authors' detector and OpenImages' class maps: --detector TO/openimages/…
#                --class_names TO/openimages/oid_bbox_trainable_label_map.pbtxt
#   inception_v4 slim's checkpoint: --encoder inception_v4:TO/inception_v4/inception_v4.ckpt
#   uic          the UIC authors' dictionary, plurals and lists; says where their larger files are
# TO is `downloads` by default. The same command continues after an interruption.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  coco) names=(coco2014) ;;
  flickr8k) names=(flickr8k karpathy) ;;
  flickr30k | pascal | gcc | openimages | inception_v4 | uic) names=("$1") ;;
  *) sed -n 2,15p "$0"; exit 2 ;;
esac
source scripts/setup.sh requirements.txt
exec python -m scripts.download "${names[@]}" --to "${2:-downloads}" "${@:3}"
