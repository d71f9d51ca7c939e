"""The supervised updates are the same on one device and on two (two logical CPUs in a separate process)."""

import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys
import numpy as np
from baselines.supervised import settings
from baselines.show_attend_tell.objective import ShowAttendTellObjective
from baselines.show_tell.objective import ShowTellObjective
from tests.objectives import two_devices

shared = dict(emb_dim=6, mem_dim=8, keep_prob=1.0, lr=0.1, clip_norm=0.2, optimizer="sgd", semantics="reference")

def show_tell():
    options = settings.ShowTell(cell="lstm_two_biases", batch_norm=True, start_from_image=True, **shared)
    return ShowTellObjective(options, 31, 6, 100)

def show_attend_tell():
    options = settings.ShowAttendTell(cell_dim=5, attention_units=4, **shared)
    return ShowAttendTellObjective(options, 31, 6, 100)

system, replicas, output = sys.argv[1], int(sys.argv[2]), sys.argv[3]
image = np.random.default_rng(1).normal(size=[8, 5, 6]).astype(np.float32)
two_devices.run(replicas, output, globals()[system], image[:, 0] if system == "show_tell" else image)
"""


@pytest.mark.parametrize("system", ["show_tell", pytest.param("show_attend_tell", marks=pytest.mark.slow)])
def test_one_device_and_two(tmp_path, system):
    found = []
    for replicas in (1, 2):
        output = tmp_path / f"{replicas}.npz"
        subprocess.run([sys.executable, "-c", SCRIPT, system, str(replicas), output], check=True, capture_output=True)
        found.append(np.load(output))
    one, two = found
    np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-5)
    assert one.files == two.files and len(one.files) > 10
    for name in one.files:  # including the running averages of the batch normalisation
        assert np.abs(one[name] - two[name]).max() <= 1e-6 * max(np.abs(one[name]).max(), 1.0), name
