"""scripts/slurm_worker.sh makes TF_CONFIG from SLURM's variables (with a simulated scontrol)."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(environment, *command):
    return subprocess.run(
        ["bash", "scripts/slurm_worker.sh", *command],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("SLURM")} | environment,
        capture_output=True,
        text=True,
    )


def test_tf_config_of_the_second_of_three_nodes(tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[1-3]" ] && printf "node1\\nnode2\\nnode3\\n"\n')
    scontrol.chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "node[1-3]", "SLURM_NODEID": "1", "PORT": "555"}
    done = run(slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, "printenv", "TF_CONFIG")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "cluster": {"worker": ["node1:555", "node2:555", "node3:555"]},
        "task": {"type": "worker", "index": 1},
    }


def test_outside_of_slurm_it_says_how_it_is_meant():
    done = run({}, "true")
    assert done.returncode == 2 and "start this with srun" in done.stderr and "#SBATCH" in done.stderr
