"""The HTTP interface takes a picture however programs send one, and answers everything in its own form."""

import base64
import io
import json
import os
import subprocess
import types
import urllib.parse

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")
from starlette.testclient import TestClient

from captioning.captioner import Hypothesis
from captioning.decode import Decoding
from web import bodies, page, showing, uploads

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class Run:
    """Stands for showing.Shown; keeps what it was asked."""

    name, checkpoint, looks, decode = "run", 8, False, Decoding()

    def __init__(self):
        self.asked = []

    def answer(self, picture, decode, min_score):
        decode = decode or self.decode
        self.asked.append((picture.pixels_HWC.shape, os.path.basename(picture), decode.size, min_score))
        return showing.Answer([Hypothesis("a dog", (2, 3, 1), -1.0, 0.0)] * decode.size, None, "none", None, None)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("folder"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", folder)
        run = Run()
        app = page.application([run], [], folder)
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield types.SimpleNamespace(client=client, run=run)


@pytest.fixture
def asked(running):
    """What the run was asked in this test."""
    running.run.asked.clear()
    return running.run.asked


def picture(form="JPEG", size=(40, 30)):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(noise).save(file, form)
    return file.getvalue()


PHOTO = picture()
TEXT = base64.b64encode(PHOTO).decode()


def multipart(*parts, boundary="xyz", end="--xyz--\r\n"):
    """A form of parts (head, content)."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return body + end.encode()


MULTIPART = "multipart/form-data; boundary=xyz"
FILE = ('name="file"; filename="photo.jpg"', PHOTO)
GOOD = {
    "bytes": (PHOTO, "application/octet-stream"),
    "bytes that name their kind": (PHOTO, "image/jpeg"),
    "bytes without a kind": (PHOTO, ""),
    "curl --data-binary": (PHOTO, FORM),
    "png by curl --data-binary": (picture("PNG"), FORM),
    "bmp by curl --data-binary": (picture("BMP"), FORM),
    "webp": (picture("WEBP"), FORM),
    "curl -F file=@": (multipart(FILE), MULTIPART),
    "curl -F image=@": (multipart(('name="image"; filename="a.png"', picture("PNG"))), MULTIPART),
    "a field of another name": (multipart(('name="upload"; filename="a.jpg"', PHOTO)), MULTIPART),
    "base64 in a form with files": (multipart(('name="image"', TEXT.encode())), MULTIPART),
    "curl --data-urlencode": (f"image={urllib.parse.quote_plus(TEXT)}".encode(), FORM),
    "curl -d, plus signs as they are": (f"image={TEXT}".encode(), FORM),
    "json": (json.dumps({"image": TEXT}).encode(), JSON),
    "json with a charset": (json.dumps({"image": TEXT}).encode(), "application/json; charset=utf-8"),
    "json by curl -d": (json.dumps({"image": TEXT}).encode(), FORM),
    "json in utf-16": (json.dumps({"image": TEXT}).encode("utf-16"), JSON),
    "json, field file": (json.dumps({"file": TEXT}).encode(), JSON),
    "a data URL": (json.dumps({"image": f"data:image/jpeg;base64,{TEXT}"}).encode(), JSON),
    "base64 in lines": (json.dumps({"image": base64.encodebytes(PHOTO).decode()}).encode(), JSON),
    "base64 for addresses, without padding": (
        json.dumps({"image": base64.urlsafe_b64encode(PHOTO).decode().rstrip("=")}).encode(),
        JSON,
    ),
}


@pytest.mark.parametrize("how", GOOD)
def test_a_picture_is_taken_however_it_is_sent(running, asked, how):
    body, kind = GOOD[how]
    answer = running.client.post("/caption", content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == 200, answer.text
    assert answer.json()["runs"][0]["caption"] == "a dog" and len(answer.json()["runs"][0]["nbest"]) == 3
    assert [shape for shape, *_ in asked] == [(30, 40, 3)]


def test_parameters_come_from_everywhere(running, asked):
    for query, body, kind in [
        ("beam=2&min_score=0.5&name=a.jpg", PHOTO, ""),
        ("beam=2&least=0.5&name=../x/a.jpg", PHOTO, ""),
        ("beam=2", multipart(('name="min_score"', b"0.5"), ('name="file"; filename="a.jpg"', PHOTO)), MULTIPART),
        ("", f"image={TEXT}&beam=2&least=.5&name=a.jpg".encode(), FORM),
        ("", json.dumps({"image": TEXT, "beam": 2, "min_score": 0.5, "name": "a.jpg"}).encode(), JSON),
        ("name=a.jpg", json.dumps({"image": TEXT, "beam": "2", "min_score": "0.5"}).encode(), JSON),
        ("beam=2&least=0.5", multipart(('name="file"; filename="C:\\\\photos\\\\a.jpg"', PHOTO)), MULTIPART),
    ]:
        answer = running.client.post(f"/caption?{query}", content=body, headers={"content-type": kind} if kind else {})
        assert answer.status_code == 200, answer.text
        assert asked.pop() == ((30, 40, 3), "a.jpg", 2, 0.5), query


def test_settings_of_the_decoding(running):
    for query, count in [
        ("samples=4&top_p=.9&sample_seed=7", 4),
        ("beam=2&no_repeat_ngram=3&repetition_penalty=1.5", 2),
    ]:
        answer = running.client.post(f"/caption?{query}", content=PHOTO)
        assert answer.status_code == 200 and len(answer.json()["runs"][0]["nbest"]) == count, answer.text
    answer = running.client.post(
        "/caption", content=f"top_k=9&samples=1&image={TEXT}".encode(), headers={"content-type": FORM}
    )
    assert answer.status_code == 200 and len(answer.json()["runs"][0]["nbest"]) == 1, answer.text


BAD = [  # query, body, kind, status, a part of the error
    *((f"{name}={value}", PHOTO, "", 422, f"{name} is {value}; expected") for name, value in [
        *(("beam", value) for value in ("abc", "", "0", "-1", "61", "2.5", "1e9", "nan", "None", "[3]", "true")),
        *(("min_score", value) for value in ("nan", "7", "-0.1", "inf", "1,5", "abc", "", "0.3.1")),
    ]),
    ("samples=11", PHOTO, "", 422, "samples is 11; expected 1 to 10"),
    ("samples=2&beam=3", PHOTO, "", 422, "beam and samples are both given"),
    ("samples=2&temperature=0", PHOTO, "", 422, "temperature is 0; expected 0.001 to 1000"),
    ("samples=2&top_p=nan", PHOTO, "", 422, "top_p is nan; expected above 0"),
    ("length_normalization=inf", PHOTO, "", 422, "length_normalization is inf; expected at least 0"),
    ("top_k=5", PHOTO, "", 422, "top_k is for captions drawn at random"),
    ("least=nan", PHOTO, "", 422, "min_score is nan; expected 0 to 1"),
    ("least=7", PHOTO, "", 422, "min_score is 7; expected 0 to 1"),
    ("beams=3", PHOTO, "", 422, "beams is not a parameter; expected name, beam, min_score"),
    ("beam=2&beam=3", PHOTO, "", 422, "beam is given twice"),
    ("least=.1&min_score=.2", PHOTO, "", 422, "min_score is given twice"),
    ("beam=2", f"image={TEXT}&beam=3".encode(), FORM, 422, "beam is given twice"),
    ("name=" + "x" * 300, PHOTO, "", 422, "name cannot be used"),
    ("name=..", PHOTO, "", 422, "name cannot be used"),
    ("", b"", "", 422, "empty"),
    ("", b"no picture", "", 415, "curl --data-binary @photo.jpg"),
    ("", PHOTO.replace(b"\n", b"").replace(b"\0", b""), FORM, 422, "curl --data-binary @photo.jpg"),
    ("", multipart(('name="a"', b"1")), MULTIPART, 422, "Found 0 pictures among the fields (a)"),
    ("", multipart(FILE, FILE), MULTIPART, 422, "2 files"),
    ("", multipart(FILE, ('name="image"', TEXT.encode())), MULTIPART, 422, "a file and also a picture"),
    ("", multipart(*[FILE, *[('name="beam"', b"3")] * 30]), MULTIPART, 422, "more than 16 fields"),
    ("", multipart(FILE, ('name="submit"', b"Go")), MULTIPART, 422, "submit is not a parameter"),
    ("", multipart(FILE), "multipart/form-data", 400, "The form cannot be read"),
    ("", multipart(FILE), "multipart/form-data; boundary=other", 400, "The form cannot be read"),
    ("", multipart(FILE)[:200], MULTIPART, 400, "The form"),
    ("", b"", MULTIPART, 400, "The form"),
    ("", multipart(('name="file"; filename="a.txt"', b"text")), MULTIPART, 415, "not a picture"),
    ("", multipart(('name="file"; filename="a.jpg"', b"")), MULTIPART, 422, "empty"),
    ("", b"image=", FORM, 422, "empty"),
    ("", b"image=%%%", FORM, 422, "image is not base64"),
    ("", b"beam=3", FORM, 422, "Found 0 pictures among the fields (beam)"),
    ("", b"image=aGk=&" + b"a=1&" * 50, FORM, 400, "The form cannot be read"),
    ("", b"image=aGk=", FORM, 415, "not a picture"),
    ("", b"{", JSON, 400, "This is not JSON"),
    ("", PHOTO, JSON, 400, "This is not JSON"),
    ("", b"[" * 100000, JSON, 400, "This is not JSON"),
    ("", b"[]", JSON, 422, 'expected {"image": BASE64'),
    ("", b"3", JSON, 422, 'expected {"image": BASE64'),
    ("", b"{}", JSON, 422, "Found 0 pictures among the fields (none)"),
    ("", b'{"image": null}', JSON, 422, "image is a NoneType"),
    ("", b'{"image": ["aGk="]}', JSON, 422, "image is a list"),
    ("", b'{"image": "aGk=", "file": "aGk="}', JSON, 422, "Found 2 pictures"),
    ("", b'{"image": "https://example.org/a.jpg"}', JSON, 422, "this server fetches nothing"),
    ("", b'{"image": "photo.jpg"}', JSON, 422, "image is not base64"),
    ("", b'{"image": "\\udcff"}', JSON, 422, "image is not base64"),
    *(("", json.dumps({"image": TEXT, **extra}).encode(), JSON, 422, message) for extra, message in [
        ({"beam": True}, "beam is True; expected 1 to 60"),
        ({"beam": None}, "beam is None"),
        ({"beam": [3]}, "beam is [3]"),
        ({"beam": 2.5}, "beam is 2.5"),
        ({"beam": 1e308}, "beam is 1e+308"),
        ({"min_score": float("nan")}, "min_score is nan"),
        ({"min_score": float("inf")}, "min_score is inf"),
        ({"min_score": {}}, "min_score is {}"),
        ({"name": None}, "name is None"),
        ({"name": "\udcff\ud800"}, "name cannot be used"),
        ({"": 1}, "is not a parameter"),
        ({"x" * 100: 1}, "x is not a parameter"),
    ]),
    ("", b'{"image": "aGk=", "beam": ' + b"9" * 5000 + b"}", JSON, 400, "This is not JSON"),
    ("", json.dumps({"image": base64.b64encode(bytes(11 << 20)).decode()}).encode(), JSON, 413, "11.0 MB; at most 10"),
    ("", b"\0" * (17 << 20), "", 413, "17.0 MB; at most 10 MB"),
]  # fmt: skip


@pytest.mark.parametrize("query, body, kind, status, message", BAD, ids=range(len(BAD)))
def test_what_cannot_be_taken_is_said_in_the_same_form(running, asked, query, body, kind, status, message):
    answer = running.client.post(f"/caption?{query}", content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"] and len(answer.json()["error"]) < 400 and not asked


def test_other_methods_and_routes_answer_in_the_same_form(running):
    for method, route, status in [("GET", "/caption", 405), ("PUT", "/caption", 405), ("GET", "/nothing", 404)]:
        answer = running.client.request(method, route)
        assert answer.status_code == status and answer.json()["error"]
    assert "curl --data-binary @photo.jpg" in running.client.get("/caption").json()["error"]


def test_a_failure_of_the_server_is_answered_too(running, monkeypatch, capsys):
    monkeypatch.setattr(running.run, "answer", lambda *_: 1 / 0, raising=False)
    answer = running.client.post("/caption", content=PHOTO)
    assert answer.status_code == 500 and "terminal" in answer.json()["error"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_random_requests_are_answered(running, asked):
    """Damaged bodies of every kind: a picture, or an error in the form of the interface."""
    rng = np.random.default_rng(1)
    goods = list(GOOD.values())
    for number in range(300):
        body, kind = goods[number % len(goods)]
        body = bytearray(body)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(0, min(len(body), 400)))
            body[place] = int(rng.integers(0, 256))
        body = bytes(body)[: int(rng.integers(1, len(body) + 1)) if rng.random() < 0.3 else None]
        answer = running.client.post("/caption", content=body, headers={"content-type": kind} if kind else {})
        assert answer.status_code in (200, 400, 413, 415, 422), (number, answer.text)
        assert answer.status_code == 200 or answer.json()["error"]


def test_the_largest_picture_fits_into_every_form():
    text = urllib.parse.quote_plus(base64.b64encode(b"\xfb\xff" * (uploads.MAX_BYTES // 2)).decode())
    assert bodies.MAX_BODY > uploads.MAX_BYTES * 4 / 3 + 1000
    typical = urllib.parse.quote_plus(base64.b64encode(np.random.default_rng(0).bytes(300_000)).decode())
    assert len(typical) / 300_000 * uploads.MAX_BYTES < bodies.MAX_BODY < len(text)


def test_the_commands_of_the_hint_are_curls():
    """The flags exist, as curl's own manual says."""
    try:
        said = subprocess.run(["curl", "--help", "all"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("curl is not installed")
    assert "--data-binary" in said and "-F," in said and "--data-binary" in bodies.HINT and "-F file=@" in bodies.HINT
