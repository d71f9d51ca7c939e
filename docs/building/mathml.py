"""MkDocs hook: converts the equations of a page to MathML, so that the manual needs no script and no internet for them.

`pymdownx.arithmatex` marks `$...$` and `$$...$$` in the HTML; the hook converts what it marked. In a displayed equation
`\\tag{4}` sets its printed number and the anchor `#eq-4`; on pages about several papers `\\tag{R2M 4}` gives
`#eq-r2m-4`.
"""

import html
import re

import latex2mathml.converter

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAYED = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
TAG = re.compile(r"\\tag\{([^}]*)\}")
FUNCTION = re.compile(r"(<mi>(?:log|ln|max|min|exp)</mi>)(?!<mo[^>]*>&#x00028;)")  # not followed by a bracket


def converted(latex, display="inline"):
    """Returns the MathML (str) of a LaTeX equation, with a thin space between the name of a function and its argument.

    Args: latex: str, the equation without delimiters. display: "inline" or "block".
    """
    mathml = latex2mathml.converter.convert(latex.strip(), display=display)
    return FUNCTION.sub(r'\1<mspace width="0.17em"/>', mathml)


def inline(match):
    """Returns the MathML (str) of an inline equation. Args: match: re.Match of the pattern INLINE."""
    return converted(html.unescape(match.group(1)))


def displayed(match):
    """Returns the HTML (str) of a displayed equation, with its number and anchor if it has a tag.

    Args: match: re.Match of the pattern DISPLAYED.
    """
    latex = html.unescape(match.group(1))
    tag = TAG.search(latex)
    mathml = converted(TAG.sub("", latex), "block")
    if not tag:
        return f'<div class="equation">{mathml}</div>'
    anchor = "eq-" + re.sub(r"[^a-z0-9]+", "-", tag.group(1).lower())
    number = f'<a class="number" href="#{anchor}">({html.escape(tag.group(1))})</a>'
    return f'<div class="equation" id="{anchor}">{mathml}{number}</div>'


def with_mathml(content):
    """Returns the HTML of a page with its marked equations converted to MathML. Args: content: HTML of the page."""
    return INLINE.sub(inline, DISPLAYED.sub(displayed, content))


def on_page_content(content, **_):
    """Returns the HTML (str) of a page with its equations converted to MathML. MkDocs calls this hook for each page.

    Args: content: str, HTML of the page. The other arguments that MkDocs passes are not used.
    """
    return with_mathml(content)
