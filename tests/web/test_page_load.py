"""serve.py under load: a twentieth of the load of `python -m tests.page_load`."""

import pytest

from tests import page_load

pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")


@pytest.mark.slow
def test_the_server_stays_small_and_answers(capsys):
    assert page_load.main(page_load.Options(clients=10, seconds=10)) == 0, capsys.readouterr().out
