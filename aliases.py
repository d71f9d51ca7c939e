"""Old names that are still understood, and what they are called now."""

import sys


def note(old, new):
    """Says on standard error how something is written now."""
    print(f"NOTE: {old} is an old name; now written {new}", file=sys.stderr)


# --------------------------------------------------------------------------------------------------------------
# Recipes

NO_DETECTOR = {"detector": "", "labels": None}
RETRIEVED = {"captions": "retrieved"}
NO_CAPTIONS = {"captions": ""}
NO_END = {"max_steps": 1_000_000}

# Name of a recipe -> its name now, or (its name now, settings in which the old one differs).
RECIPES = {
    "miniature_scratch": "miniature/scratch",
    "miniature_scratch_adv": "miniature/scratch_adv",
    "miniature_scratch_con": "miniature/scratch_con",
    "miniature_scratch_im": "miniature/scratch_im",
    "miniature_full": "miniature/full",
    "miniature_adv": "miniature/adv",
    "miniature_con": "miniature/con",
    "miniature_im": "miniature/im",
    "miniature_obj2sen": ("miniature/con2sen", NO_DETECTOR),
    "miniature_im_caption": "miniature/feat2sen",
    "miniature_supervised": ("miniature/supervised_ceiling", RETRIEVED),
    "miniature_sentence_ae": "miniature/sentence_ae",
    "miniature_sentence_gan": "miniature/sentence_gan",
    "miniature_r2m": "miniature/r2m",
    "miniature_show_tell": ("miniature/show_tell", NO_CAPTIONS),
    "miniature_show_attend_tell": ("miniature/show_attend_tell", NO_CAPTIONS),
    "flickr8k_scratch": "flickr8k_coco/scratch",
    "flickr8k_full": "flickr8k_coco/full_without_consensus",
    "flickr8k_full_fit": "flickr8k_coco/full",
    "flickr8k_adv": "flickr8k_coco/adv",
    "flickr8k_con": "flickr8k_coco/con",
    "flickr8k_im": "flickr8k_coco/im",
    "flickr8k_obj2sen": ("flickr8k_coco/con2sen", NO_DETECTOR),
    "flickr8k_im_caption": "flickr8k_coco/feat2sen_retrieved",
    "flickr8k_fit": "flickr8k_coco/feat2sen",
    "flickr8k_supervised": ("flickr8k_coco/supervised_ceiling", RETRIEVED),
    "flickr8k_sentence_ae": "flickr8k_coco/sentence_ae",
    "flickr8k_sentence_gan": "flickr8k_coco/sentence_gan",
    "flickr8k_r2m": ("flickr8k_coco/r2m", NO_DETECTOR),
    "flickr8k_show_tell": ("flickr8k_coco/show_tell", NO_CAPTIONS),
    "flickr8k_show_attend_tell": ("flickr8k_coco/show_attend_tell", NO_CAPTIONS),
    "full_paper": ("coco_shutterstock/full", NO_END),
    "adv_paper": ("coco_shutterstock/adv", NO_END),
    "con_paper": ("coco_shutterstock/con", NO_END),
    "im_paper": ("coco_shutterstock/im", NO_END),
    "obj2sen_paper": "coco_shutterstock/con2sen",
    "im_caption_paper": "coco_shutterstock/feat2sen",
    "sentence_ae_paper": "coco_shutterstock/sentence_ae",
    "sentence_gan_paper": "coco_shutterstock/sentence_gan",
    "r2m_coco_shutterstock": "r2m_coco_shutterstock/r2m",
    "r2m_flickr30k_coco": "r2m_flickr30k_coco/r2m",
    "r2m_coco_gcc": "r2m_coco_gcc/r2m",
    "show_tell_img2txt": ("show_tell_img2txt/show_tell", NO_CAPTIONS),
    "show_tell_img2txt_gru": ("show_tell_img2txt/show_tell_gru", NO_CAPTIONS),
    "show_tell_resnet": ("show_tell_resnet152/show_tell", NO_CAPTIONS),
    "sat_tf_tutorial": ("attention_tutorial/show_attend_tell", NO_CAPTIONS),
}
