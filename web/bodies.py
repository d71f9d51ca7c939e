"""Reads the body of a request to /caption: the bytes of a picture, a form with a file, or base64 in a form or JSON."""

import base64
import binascii
import dataclasses
import json
import re
import urllib.parse

from captioning.decode import SETTINGS
from web.uploads import MAX_BYTES, Refused

MAX_BODY = MAX_BYTES * 3 // 2 + (64 << 10)  # bytes of a request: base64 with its escapes, and the other fields
PICTURE = ("image", "file")  # names of the fields that may hold the picture
MAX_FIELDS = 16
MAX_NAME = 40  # characters of the request that an error message repeats
HINT = "send the file itself: curl --data-binary @photo.jpg, or curl -F file=@photo.jpg"
_NAMES = (*PICTURE, "name", "beam", "min_score", "least", "samples", *SETTINGS)
_FORM = re.compile(rf"({'|'.join(_NAMES)})=".encode())
_ADDRESS = re.compile(r"[a-z]+://", re.I)
_DATA_URL = re.compile(r"data:[^,;]*(;[^,;]+)*;base64,", re.I)


@dataclasses.dataclass(frozen=True)
class Sent:
    """The content of a request.

    Attributes: picture: bytes of the image file, not yet checked. parameters: list of (name, value) of the other
      fields; a value is a str, from a JSON body any JSON value. file_name: name of the uploaded file in a form; "" for
      other bodies.
    """

    picture: bytes
    parameters: list
    file_name: str = ""


def kind_of(content_type, head):
    """Returns the format of a body: "bytes", "multipart", "urlencoded" or "json".

    curl declares every body as a form by default, so for forms the first bytes of the body decide.

    Args: content_type: header of the request, "" without one. head: the first 64 bytes of the body.
    """
    name = content_type.partition(";")[0].strip().lower()
    if name == "multipart/form-data":
        return "multipart"
    if name == "application/json" or name.endswith("+json"):
        return "json"
    if name in ("", "application/x-www-form-urlencoded", "text/plain"):
        if _FORM.match(head):
            return "urlencoded"
        if head.lstrip().startswith(b"{"):
            return "json"
    return "bytes"


def read(body, content_type):
    """Returns the content of a request as Sent.

    Args: body: bytes. content_type: header of the request, "" without one.
    Raises: uploads.Refused if it has no picture, or several, or cannot be read.
    """
    kind = kind_of(content_type, body[:64])
    if kind == "bytes":
        return Sent(body, [])
    return {"multipart": _multipart, "urlencoded": _urlencoded, "json": _json}[kind](body, content_type)


def _multipart(body, content_type):
    """Reads a form of type multipart/form-data (bytes); returns Sent. Raises: Refused.

    Args: body: bytes. content_type: header of the request, which names the boundary of the parts.
    """
    from python_multipart import exceptions, multipart

    fields, files = [], []

    def keep(found, part):
        found.append(part)
        if len(fields) + len(files) > MAX_FIELDS:
            raise Refused(f"The form has more than {MAX_FIELDS} fields.", 422)

    headers, config = {"Content-Type": content_type.encode("latin-1")}, {"MAX_MEMORY_FILE_SIZE": MAX_BODY}
    try:
        parser = multipart.create_form_parser(
            headers, lambda part: keep(fields, part), lambda part: keep(files, part), config
        )
        parser.write(body)
        parser.finalize()
    except (exceptions.FormParserError, ValueError, KeyError, AssertionError) as error:
        raise Refused(f"The form cannot be read ({str(error)[:100] or 'damaged'}); {HINT}.", 400) from error
    if not body.rstrip().endswith(b"--"):
        raise Refused(f"The form is cut short; {HINT}.", 400)
    named = [(_text(part.field_name), part.value or b"") for part in fields]
    pictures = [(part.file_object, part.file_name) for part in files if part.file_name]
    if len(pictures) > 1:
        raise Refused(f"The form has {len(pictures)} files; send one picture in each request.", 422)
    if not pictures:
        return _with_text([(name, _text(value)) for name, value in named])
    (file, name) = pictures[0]
    file.seek(0)
    others = [(field, _text(value)) for field, value in named]
    if any(field in PICTURE for field, _ in others):
        raise Refused("The form has a file and also a picture in another field; send one of them.", 422)
    return Sent(file.read(), others, _text(name))


def _text(value):
    """Returns bytes decoded as UTF-8; a str as it is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _urlencoded(body, _):
    """Reads a form of type application/x-www-form-urlencoded (bytes); returns Sent. Raises: Refused."""
    try:
        text = body.decode("ascii")
        fields = urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Refused(f"The form cannot be read ({str(error)[:100]}); {HINT}.", 400) from error
    return _with_text([(name, value.replace(" ", "+") if name in PICTURE else value) for name, value in fields])


def _json(body, _):
    """Reads a JSON object (bytes); returns Sent. Raises: Refused."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"This is not JSON ({str(error)[:100]}); {HINT}.", 400) from error
    if not isinstance(content, dict):
        raise Refused('Found other JSON; expected {"image": BASE64, "beam": 3}.', 422)
    return _with_text(list(content.items()))


def _with_text(fields):
    """Returns Sent from form or JSON fields, one of which is a picture in base64.

    Args: fields: list of (name, value). Raises: Refused.
    """
    found = [value for name, value in fields if name in PICTURE]
    others = [(name, value) for name, value in fields if name not in PICTURE]
    if len(found) != 1:
        names = ", ".join(str(name)[:MAX_NAME] for name, _ in fields) or "none"
        raise Refused(f"Found {len(found)} pictures among the fields ({names}), expected one: image, in base64.", 422)
    return Sent(_decoded(found[0]), others)


def _decoded(text):
    """Returns the bytes that a base64 text encodes; it may begin with `data:…;base64,`. Raises: Refused."""
    if not isinstance(text, str):
        raise Refused(f"image is a {type(text).__name__}; expected the bytes of a picture in base64.", 422)
    if _ADDRESS.match(text):
        raise Refused(f"image is an address, but this server fetches nothing; {HINT}.", 422)
    text = "".join(text[len(match[0]) if (match := _DATA_URL.match(text)) else 0 :].split())
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused(f"image is not base64 ({error}); {HINT}.", 422) from error
