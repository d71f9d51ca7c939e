"""docs/building/mathml.py: marked LaTeX becomes MathML, tags become numbers with anchors."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytest.importorskip("latex2mathml", reason="latex2mathml is not installed: pip install -r requirements-docs.txt")


@pytest.fixture(scope="module")
def with_mathml():
    spec = importlib.util.spec_from_file_location("mathml", ROOT / "docs/building/mathml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.with_mathml


def test_an_equation_within_a_line(with_mathml):
    content = with_mathml(r'<p>If <span class="arithmatex">\(a &lt; b\)</span> then</p>')
    assert content.startswith("<p>If <math") and content.endswith("</math> then</p>")
    assert "<mi>a</mi><mo>&#x0003C;</mo><mi>b</mi>" in content


@pytest.mark.parametrize("tag, anchor", [("4", "eq-4"), ("R2M 4", "eq-r2m-4")])
def test_a_tag_becomes_the_number_and_the_anchor(with_mathml, tag, anchor):
    content = with_mathml(rf'<div class="arithmatex">\[ x = 1 \tag{{{tag}}} \]</div>')
    assert f'id="{anchor}"' in content and f'<a class="number" href="#{anchor}">({tag})</a>' in content
    assert 'display="block"' in content and "tag" not in content.replace(f"{tag}", "")


def test_other_text_stays(with_mathml):
    text = r"<p><code>\(x\)</code> and $x$</p>"
    assert with_mathml(text) == text
