"""Renders HTML by jinja2. Every text is escaped, because captions and file names are untrusted.

Templates are the .html files beside the modules that use them; `render` takes their path from the project's root.
"""

import base64
import pathlib

import jinja2

ROOT = pathlib.Path(__file__).resolve().parents[2]
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ROOT),
    autoescape=True,
    undefined=jinja2.StrictUndefined,  # a missing value is an error, not an empty text
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template, **values):
    """Returns the HTML text (str) of a template filled with values, which are escaped.

    Args: template: path from the project's root, e.g. "evaluation/report/report.html". values: variables of the
      template.
    """
    return _TEMPLATES.get_template(template).render(values)


def macros(template):
    """Returns an object with the macros of a template as attributes; each macro returns HTML (markupsafe.Markup).

    Args: template: path from the project's root.
    """
    return _TEMPLATES.get_template(template).module


def data_url(data, kind):
    """Returns a data URL (str) that holds an image. Args: data: bytes of the image file. kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
