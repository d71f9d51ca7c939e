"""HTML by jinja2: every text is escaped, because captions and file names are written by strangers.

Templates are the .html files beside the modules that fill them; `render` takes their path from the project's root.
"""

import base64
import pathlib

import jinja2

ROOT = pathlib.Path(__file__).resolve().parents[2]
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ROOT),
    autoescape=True,
    undefined=jinja2.StrictUndefined,  # a value that is not there is an error, not an empty place
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template, **values):
    """The text of a template with its values. Args: template: e.g. "evaluation/report/report.html"."""
    return _TEMPLATES.get_template(template).render(values)


def macros(template):
    """The macros of a template, as attributes; each returns HTML (markupsafe.Markup)."""
    return _TEMPLATES.get_template(template).module


def data_url(data, kind):
    """The address of a picture that the page itself holds. Args: data: its file's bytes. kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
