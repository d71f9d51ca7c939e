"""The cross-entropy update is the same on one device and on two (two logical CPUs in a separate process)."""

import subprocess
import sys

import numpy as np

SCRIPT = """
import sys
import numpy as np
import config
from objectives.im_caption import ImageCaptionObjective
from tests.objectives import two_devices

replicas, optimizer, output = int(sys.argv[1]), sys.argv[2], sys.argv[3]
options = config.ImageCaption(
    emb_dim=8, mem_dim=8, keep_prob=1.0, lr=0.1 if optimizer == "sgd" else 0.01, clip_norm=0.2, optimizer=optimizer
)
image = np.random.default_rng(1).normal(size=[8, 6]).astype(np.float32)
two_devices.run(replicas, output, lambda: ImageCaptionObjective(options, 31, 6), image)
"""


def run(tmp_path, replicas, optimizer):
    output = tmp_path / f"{optimizer}{replicas}.npz"
    subprocess.run([sys.executable, "-c", SCRIPT, str(replicas), optimizer, output], check=True, capture_output=True)
    return np.load(output)


def test_one_device_and_two(tmp_path):
    for optimizer, tolerance in (("sgd", 1e-6), ("adam", 1e-5)):
        one, two = (run(tmp_path, replicas, optimizer) for replicas in (1, 2))
        np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-5)
        for name in one.files:
            scale = np.abs(one[name]).max()
            assert np.abs(one[name] - two[name]).max() <= tolerance * max(scale, 1.0), (optimizer, name)
