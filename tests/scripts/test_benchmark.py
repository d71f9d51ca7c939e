"""The benchmark: useful operations, tables, comparison, and one line measured in its own process."""

import copy
import json
import subprocess
import sys

import pytest

import cli
from scripts import benchmark, benchmark_flops
from tests.tiny_runs import ROOT

ENTRY = {
    "item": "greedy",
    "batch": 64,
    "semantics": None,
    "lengths": "all 20",
    "seconds": 0.5,
    "gflop_eq_per_example": 2.0,
    "share_of_peak": 0.6,
    "peak_memory_gib": 1.5,
    "images_per_second": 128.0,
    "matmul_gflops": 400.0,
    "matmul_gflops_best": 420.0,
}


def result(**changes):
    return benchmark.summary([ENTRY | changes], benchmark.Options())


def test_useful_operations_are_those_of_the_specification():
    """0.47 GFLOP for a caption, about 4.13 for a full step, 3 x 0.47 for a cross-entropy step (docs/performance.md)."""
    sizes = benchmark_flops.Sizes()
    assert abs(sizes.said(20) / 1e9 - 0.470) < 0.001
    assert abs(benchmark_flops.full(sizes, 20, "fixed", 18.1) / 1e9 - 4.13) < 0.25
    assert abs(benchmark_flops.cross_entropy(sizes, 20) / 1e9 - 3 * 0.470) < 0.003
    assert benchmark_flops.full(sizes, 20, "reference", 18.1) > benchmark_flops.full(sizes, 20, "fixed", 18.1)


def test_markdown():
    lines = benchmark.markdown(result(share_of_peak=None)).splitlines()
    assert lines[0].startswith("2048-cube float32 product: median 400 GFLOP/s")
    assert lines[4] == "| greedy | 64 |  | all 20 | 0.5 | 2 |  | 1.50 | 128 |  |"


@pytest.mark.parametrize(("work", "slower"), [(2.2, False), (2.4, True), (1.0, False)])
def test_compare(tmp_path, capsys, work, slower):
    """An increase of more than 15 % in GFLOP-equivalents fails; a new line is not compared."""
    new = result(gflop_eq_per_example=work)
    new["items"].append(copy.deepcopy(new["items"][0]) | {"item": "sampling"})
    assert benchmark.compare(new, result(), 0.15) == (["greedy, 64, all 20"] if slower else [])
    assert f"{work / 2.0:.2f}" in capsys.readouterr().out


def test_waiting_is_compared_by_its_share(capsys):
    more = {"item": "waiting for data", "gflop_eq_per_example": 100.0}
    old = result(**more, waiting_share=0.01)
    assert not benchmark.compare(result(**more | {"gflop_eq_per_example": 900.0}, waiting_share=0.05), old, 0.15)
    assert benchmark.compare(result(**more, waiting_share=0.07), old, 0.15)


def test_errors(tmp_path):
    for options, text in (
        (benchmark.Options(items=("nothing",)), "no such line; there are: full step, feature bank"),
        (benchmark.Options(compare=str(tmp_path / "none.json")), "not the results"),
        (benchmark.Options(json=str(tmp_path / "no" / "folder.json")), "no such folder"),
    ):
        with pytest.raises(cli.UserError, match=text):
            benchmark.main(options)


def test_a_line_measured_in_its_own_process(tmp_path):
    path = tmp_path / "bench.json"
    command = [sys.executable, "-m", "scripts.benchmark", "--quick", "--items=sampling", f"--json={path}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found = json.loads(path.read_text())
    assert [entry["lengths"] for entry in found["items"]] == ["all 20", "mean 10.5"]
    for entry in found["items"]:
        assert entry["item"] == "sampling" and 0 < entry["share_of_peak"] < 1.2
        assert entry["seconds"] > 0 and 0.1 < entry["peak_memory_gib"] < 4
        assert found["matmul_gflops"] > 0 and len(entry["seconds_all"]) == 2
        work = entry["seconds"] * entry["matmul_gflops"] / entry["batch"]
        assert abs(work / entry["gflop_eq_per_example"] - 1) < 1e-6
