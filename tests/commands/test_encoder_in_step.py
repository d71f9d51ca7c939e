"""Training from JPEG records with Inception-v4 inside the training step, as the authors do."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import config
import train
from formats import records
from tests import tiny_world


@pytest.fixture
def data(tmp_path):
    """Makes the tiny world with real JPEG bytes in its records."""
    tiny_world.make(tmp_path / "data", images=6)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        path = str(tmp_path / "data" / f"image_{split}.tfrec")
        images = records.read_images([path])
        examples = []
        for i, name in enumerate(images.names):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(buffer, "JPEG")
            objects = slice(images.class_offsets[i], images.class_offsets[i + 1])
            examples.append(
                records.image_example(name, buffer.getvalue(), images.class_flat[objects], images.score_flat[objects])
            )
        tiny_world.write(str(tmp_path / "data"), f"image_{split}", examples)
    return tmp_path / "data"


def test_the_encoder_runs_in_the_step(data, tmp_path):
    options = config.FullModel(
        data_dir=str(data),
        job_dir=str(tmp_path / "run"),
        inc_ckpt="inception_v4:rule",
        batch_size=2,
        max_steps=2,
        steps_per_loop=2,
        save_checkpoint_steps=2,
        save_summary_steps=2,
        emb_dim=16,
        mem_dim=16,
        max_caption_length=6,
        eval_images=0,
    )
    train.main(options)
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["facts"]
    assert facts["image_dim"] == 1536 and facts["encoder"]["kind"] == "inception_v4"
    [line] = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert np.isfinite(json.loads(line)["loss/generator"])
