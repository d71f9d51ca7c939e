"""The tiny world and the initialization stages trained on it for a few steps, once for all tests."""

import types

import pytest

import config
from initialization import gen_obj2sen_caption, im_caption, obj2sen, retrieve_captions, sentence_ae, sentence_gan
from tests import tiny_world

SMALL = {
    "emb_dim": 8,
    "mem_dim": 8,
    "batch_size": 8,
    "steps_per_loop": 4,
    "max_steps": 8,
    "save_checkpoint_steps": 4,
    "save_summary_steps": 4,
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Paths of the data folder and of one run of each stage; run(stage, name, **settings) trains another one."""
    folder = tmp_path_factory.mktemp("initialization")
    data = tiny_world.make(str(folder / "data"), sentences=150)
    stages = {
        "obj2sen": (obj2sen, config.ObjectToSentence),
        "sentence_ae": (sentence_ae, config.SentenceAutoEncoder),
        "sentence_gan": (sentence_gan, config.SentenceGan),
        "im_caption": (im_caption, config.ImageCaption),
    }

    def run(stage, name, **settings):
        module, options_class = stages[stage]
        job_dir = str(folder / name)
        module.main(options_class(**({"data_dir": data, "job_dir": job_dir} | SMALL | settings)))
        return job_dir

    there = types.SimpleNamespace(data=data, folder=folder, run=run)
    there.obj2sen = run("obj2sen", "obj2sen")
    there.sentence_ae = run("sentence_ae", "sentence_ae")
    there.sentence_gan = run("sentence_gan", "sentence_gan", sae_ckpt=there.sentence_ae, max_caption_length=6)
    gen_obj2sen_caption.main(gen_obj2sen_caption.Options(job_dir=there.obj2sen))
    retrieve_captions.main(retrieve_captions.Options(data_dir=data, k=2, choice="random"))
    there.im_caption = run("im_caption", "im_caption", o2s_ckpt=there.obj2sen)
    return there
