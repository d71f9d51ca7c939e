"""docs/tutorial.ipynb runs from its first to its last cell, on a tiny world."""

import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def test_it_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in requirements-dev.txt")
    import nbformat

    monkeypatch.setenv("NOTEBOOK_EXPERIMENT", "miniature_smoke")
    monkeypatch.setenv("NOTEBOOK_FOLDER", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3, "two rows of pictures and a curve"
    assert "CIDEr" in "".join(output.get("text", "") for output in outputs)
    assert len(json.loads((tmp_path / "runs" / "notebook" / "captions.json").read_text())) == 8
