"""HTML from Python: every text is escaped, because captions and file names are written by strangers.

page("Title", STYLE, tag("p", "a < b", tag("b", "bold")))
"""

import base64
import html


class Markup(str):
    """Text that is HTML already; only `tag` and `image` make it."""


def tag(name, /, *children, **attributes):
    """An element with its children, in order; a child that is no Markup is escaped. None stands for nothing.

    Args: attributes: `class_` is written class; None leaves the attribute out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("img", "meta", "br"):
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children):
    """Children one after the other as Markup."""
    texts = (
        child if isinstance(child, Markup) else html.escape(str(child), quote=False)
        for child in children
        if child is not None
    )
    return Markup("".join(texts))


def image(data, kind, alt, **attributes):
    """A picture inside the page. Args: data: its file's bytes. kind: "png" or "jpeg". alt: what it shows."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag("img", src=source, alt=alt, **attributes)


def table(lines, left=(), classes=()):
    """A table; the first line is the heading.

    Args: left: numbers of the columns that are set flush left. classes: the class of each line after the heading.
    """

    def row(cells, kind, class_=None):
        side = lambda i: "left" if i in left else None  # noqa: E731
        return tag("tr", *(tag(kind, cell, class_=side(i)) for i, cell in enumerate(cells)), class_=class_)

    marks = classes or [None] * (len(lines) - 1)
    body = [row(line, "td", mark) for line, mark in zip(lines[1:], marks, strict=True)]
    return tag("div", tag("table", tag("thead", row(lines[0], "th")), tag("tbody", *body)), class_="wide")


def page(title, style, *children):
    """A whole page that loads nothing: no script, no font, no picture from elsewhere; browsers are told so too."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Markup(f"<style>{style}</style>"),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", *children), lang="en") + "\n"
