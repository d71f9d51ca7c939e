"""The guard of page and endpoint refuses every request that names a file or address other than an upload."""

import asyncio
import io
import json
import os
import socket
import types

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")
from starlette.routing import Mount
from starlette.testclient import TestClient

from captioning.captioner import Hypothesis
from captioning.decode import DEFAULTS, Decoding
from web import page, page_guard, showing, uploads

OPEN = {
    *("/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/assets/{path:path}"),
    *("/static/{path:path}", "/gradio_api/startup-events", "/gradio_api/heartbeat/{session_hash}"),
    *("/gradio_api/queue/data", "/gradio_api/upload_progress", "/gradio_api/upload", "/gradio_api/queue/join"),
    "/gradio_api/file={path_or_url:path}",
}


SETTINGS = [0, *(DEFAULTS[name] for name in page.SLIDERS)]  # no samples, and the defaults of the other fields


class Run:
    """A substitute for showing.Shown that records the paths it is given."""

    name, checkpoint, looks, decode = "run", 8, False, Decoding()

    def __init__(self):
        self.asked = []

    def answer(self, path, decode, min_score):
        decode = decode or self.decode
        self.asked.append(path)
        assert path.pixels_HWC.shape == (30, 40, 3)
        return showing.Answer([Hypothesis("a dog", (2, 3, 1), -1.0, 0.0)] * decode.size, None, "none", None, None)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A running application: client, run, folder (of Gradio's files), secret (a picture elsewhere), a link to it."""
    folder, other = tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("other")
    Image.new("RGB", (40, 30), "red").save(other / "secret.jpg")
    Image.new("RGB", (40, 30), "blue").save(other / "example.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        run = Run()
        app = page.application([run], [str(other / "example.jpg")], str(folder))
        link, secret = str(folder / "link.jpg"), str(other / "secret.jpg")
        os.symlink(secret, link)
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield types.SimpleNamespace(app=app, client=client, run=run, folder=str(folder), secret=secret, link=link)


@pytest.fixture
def world(running, request):
    """The running application with a new session."""
    running.run.asked.clear()
    running.session = request.node.name.partition("[")[0]
    return running


def jpeg(colour="green"):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def upload(world, name="mine.jpg", data=None):
    [path] = world.client.post("/gradio_api/upload", files={"files": (name, data or jpeg())}).json()
    return path


def numbers(world, name):
    """Returns the indices of the events with a name."""
    return [number for number, event in world.app.state.page.fns.items() if event.name == name]


def join(world, data, number=None, **more):
    body = {"data": data, "fn_index": numbers(world, "caption")[0] if number is None else number}
    body |= {"session_hash": world.session, "trigger_id": 1} | more
    return world.client.post("/gradio_api/queue/join", content=json.dumps(body))


def result(world):
    """Returns the last message of the queue to the session of `join`."""
    lines = world.client.get(f"/gradio_api/queue/data?session_hash={world.session}").text.splitlines()
    messages = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return next(message for message in messages if message["msg"] == "process_completed")


def file_data(path, **more):
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


def files_in(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def test_an_upload_is_captioned(world):
    path = upload(world)
    assert join(world, [file_data(path, url="http://127.0.0.1/x"), 2, 0.3, *SETTINGS]).status_code == 200
    answer = result(world)
    assert answer["success"] and "a dog" in json.dumps(answer["output"]) and world.run.asked == [path]
    assert world.client.get(f"/gradio_api/file={path}").content == jpeg()


def test_an_example_is_picked_and_captioned(world):
    assert join(world, [0], numbers(world, "copy_of")[0]).status_code == 200
    path = result(world)["output"]["data"][0]["path"]
    assert path.startswith(world.folder)
    assert join(world, [file_data(path), 1, 0.3, *SETTINGS]).status_code == 200
    assert result(world)["success"] and world.run.asked == [path]


def ways_to(world):
    """Returns values for the picture that name a file which is not an upload, or no file."""
    mine = upload(world)
    outside = os.path.join(world.folder, os.path.relpath(world.secret, world.folder))
    paths = [
        world.secret,
        world.secret + ".absent",
        world.link,
        outside,
        "/etc/passwd",
        "/",
        "",
        "mine.jpg",
        mine.upper(),
    ]
    paths += [
        os.path.relpath(world.secret),
        f"file://{world.secret}",
        f"{mine}/../../{os.path.relpath(world.secret, world.folder)}",
    ]
    paths += [f"{mine}\0", "\ud800", f"//{mine}", os.path.dirname(mine), f"/proc/self/root{mine}", 3, None, [mine], {}]
    values = [file_data(path) for path in paths]
    values += [{"path": world.secret}, {"url": "http://127.0.0.1/"}, world.secret, [file_data(world.secret)], 7, True]
    return [*values, file_data(world.secret, is_stream=True), {"image": file_data(world.secret)}, {"value": mine}]


def test_no_other_file_is_read_copied_or_told_of(world, capfd):
    values = ways_to(world)
    before = files_in(world.folder)
    answers = set()
    for value in values:
        for number in numbers(world, "caption"):
            answer = join(world, [value, 1, 0.3, *SETTINGS], number)
            answers.add((answer.status_code, answer.text))
    assert len(answers) == 1, "existing and missing files get the same answer"
    assert answers.pop()[0] == 422
    assert world.run.asked == [] and files_in(world.folder) == before
    assert "Traceback" not in capfd.readouterr().err


def test_the_page_itself_looks_again(world):
    """The functions of the page check their input too, should Gradio call them without the guard."""
    caption = next(event.fn for event in world.app.state.page.fns.values() if event.name == "caption")
    for path in (world.secret, world.secret + ".absent"):
        assert "not, or no longer, among the uploads" in str(caption(path, 1, 0.3, *SETTINGS)[0].value)
    assert world.run.asked == []


def test_no_other_field_takes_a_file(world):
    """Checked for every input of every event, and for fields that only Gradio uses."""
    stranger, good = file_data(world.secret), {"Image": None, "Slider": 1, "State": None, "Dataset": 0}
    before = files_in(world.folder)
    for number, event in world.app.state.page.fns.items():
        values = [good[type(field).__name__] for field in event.inputs]
        for place, field in enumerate(event.inputs):
            bad = [*values[:place], stranger, *values[place + 1 :]]
            wanted = 200 if type(field).__name__ == "State" else 422  # the value of a state is dropped
            assert join(world, bad, number).status_code == wanted
        more = {"event_data": stranger, "batched": True, "simple_format": True, "event_id": "x", "oauth_token": "x"}
        assert join(world, values, number, session_hash="d", **more).status_code == 200
    assert world.run.asked == [] and files_in(world.folder) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[" * 60000,
        b"null",
        b'{"data": [null, 1, 1]}',
        b'{"data": [null], "fn_index": true, "session_hash": "a"}',
        b'{"data": [null], "fn_index": -1, "session_hash": "a"}',
        b'{"data": [null], "fn_index": 99, "session_hash": "a"}',
        b'{"data": [null], "fn_index": [], "session_hash": "a"}',
        b'{"data": {"0": null}, "fn_index": 2, "session_hash": "a"}',
        b'{"data": [null], "fn_index": 2, "session_hash": "../a"}',
        b'{"data": [-1], "fn_index": 0, "session_hash": "a"}',
        b'{"data": [1], "fn_index": 0, "session_hash": "a"}',
        b'{"data": [null, NaN, 0.3, 0, 1, 0, 1, 0, 0, 0, 1], "fn_index": 1, "session_hash": "a"}',
        b'{"data": [null, Infinity, 0.3, 0, 1, 0, 1, 0, 0, 0, 1], "fn_index": 1, "session_hash": "a"}',
        b'{"data": [null, "3", 0.3, 0, 1, 0, 1, 0, 0, 0, 1], "fn_index": 1, "session_hash": "a"}',
    ],
)
def test_what_is_no_event_of_the_page(world, body):
    answer = world.client.post("/gradio_api/queue/join", content=body)
    assert answer.status_code == 422 and answer.json()["error"]


def test_no_address_is_fetched(world):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"
        for value in (file_data(address), {"url": address, "path": address}, file_data("x", url=address), address):
            assert join(world, [value, 1, 0.3, *SETTINGS]).status_code == 422
        assert join(world, [file_data(upload(world), url=address), 1, 0.3, *SETTINGS]).status_code == 200
        assert result(world)["success"]
        for way in (f"file={address}", f"proxy={address}", f"file//{address}"):
            assert world.client.get(f"/gradio_api/{way}").status_code == 404
        with pytest.raises(TimeoutError):
            server.accept()


def gradio_routes(app):
    [mounted] = [route.app for route in app.routes if isinstance(route, Mount)]
    found, todo = set(), list(mounted.routes)
    while todo:
        route = todo.pop()
        inner = getattr(route, "original_router", None)
        todo += inner.routes if inner is not None else []
        if getattr(route, "path", None):
            prefixes = ("", "/gradio_api") if not route.path.startswith("/gradio_api") else ("",)
            found |= {prefix + route.path for prefix in prefixes}
    return found


def test_all_other_routes_of_gradio_are_shut(world):
    routes = gradio_routes(world.app)
    assert OPEN <= routes and len(routes) > 60, "the routes of this version of Gradio are found"
    for route in sorted(routes - OPEN):
        path = route.replace("{", "").replace("}", "").replace(":path", "")
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            if not (method == "GET" and page_guard.READ.fullmatch(path)):
                answer = world.client.request(method, path)
                assert answer.status_code == 404 and "nothing here" in answer.text, (method, path)


def test_files_of_this_machine_are_not_served(world):
    mine = upload(world)
    paths = [
        world.secret,
        world.secret + ".absent",
        world.link,
        "/etc/passwd",
        "relative.jpg",
        f"{world.folder}/%00",
        "",
    ]
    there = os.path.relpath(world.secret, world.folder).replace("..", "%2e%2e")
    paths += [f"{world.folder}/{there}", f"{mine}/%2e%2e/%2e%2e/{there}", f"{world.folder}/{there}".replace("/", "%2f")]
    paths += [world.folder, "file:///etc/passwd", "http:%2f%2f127.0.0.1"]
    answers = {(answer.status_code, answer.text) for answer in (world.client.get(page_guard.FILE + p) for p in paths)}
    assert len(answers) == 1 and answers.pop()[0] == 404
    for path in ("/assets/%2e%2e/%2e%2e/%2e%2e/routes.py", "/static/..%2f..%2froutes.py", "/?deep_link=..%2fx"):
        assert world.client.get(path).status_code == (200 if path.startswith("/?") else 404)


def test_foreign_pages_are_refused(world):
    for origin, status in [("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), (None, 200)]:
        for method, path in [("POST", "/caption"), ("GET", "/"), ("GET", "/runs")]:
            headers = {"Origin": origin} if origin else {}
            content = jpeg() if method == "POST" else None
            answer = world.client.request(method, path, content=content, headers=headers)
            assert answer.status_code == status, (origin, path)
    assert world.client.post("/caption", content=jpeg(), headers={"Origin": "http://127.0.0.1"}).status_code == 200
    assert world.client.post("/gradio_api/upload", headers={"Origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "query, message",
    [
        ("min_score=nan", "min_score is nan; expected 0 to 1"),
        ("least=nan", "min_score is nan"),
        ("min_score=inf", "min_score is inf"),
        ("min_score=-1", "min_score is -1"),
        ("min_score=", "min_score is ; expected"),
        ("beam=abc", "beam is abc; expected 1 to 60"),
        ("beam=0", "beam is 0"),
        ("beam=2.5", "beam is 2.5"),
        ("beam=" + "9" * 5000, "beam is 999"),
        ("baem=3", "baem is not a parameter; expected name, beam, min_score"),
        ("name=" + "x" * 300, "name cannot be used"),
    ],
)
def test_wrong_queries(world, query, message):
    answer = world.client.post(f"/caption?{query}", content=jpeg())
    assert answer.status_code == 422 and message in answer.json()["error"]


def test_right_queries(world):
    before = files_in(world.folder)
    for query in ("", "least=0.5", "min_score=1&beam=10&name=..%2f..%2fa%00.jpg", "name=."):
        answer = world.client.post(f"/caption?{query}", content=jpeg())
        assert answer.status_code == (422 if query == "name=." else 200), answer.text
    assert all(os.path.realpath(path).startswith(world.folder) for path in world.run.asked)
    assert files_in(world.folder) == before


def test_what_does_not_become_an_upload_is_removed(world):
    before = files_in(world.folder)
    cut = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' + b"0" * 5000
    for data in (cut, b"", cut + b"\r\n--x--\r\n"):
        world.client.post(
            "/gradio_api/upload", content=data, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
    left = set(files_in(world.folder)) - set(before)
    assert [os.path.basename(path) for path in left] == ["a.jpg"], "the complete upload"
    assert world.client.post("/gradio_api/upload", content=b"0" * (11 << 20)).status_code == 413


def test_old_uploads_are_deleted(tmp_path):
    register = uploads.Register(str(tmp_path), most=2)
    paths = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    for path in paths:
        open(path, "w").close()
        register.add(path)
    assert files_in(tmp_path) == paths[2:]
    register.check(paths[3])
    with pytest.raises(uploads.Refused):
        register.check(paths[0])


# --------------------------------------------------------------------------------------------------------------
# Bodies that do not arrive, or do not end


def answer_to(messages, seconds=5, most=5, posts=0, headers=(), path="/caption"):
    """Sends a POST with its body in `messages`; returns (status, headers, answer, whether the application got it)."""
    reached, sent, coming = [], [], iter(messages)

    async def app(scope, receive, send):
        reached.append(scope)

    async def receive():
        message = next(coming, None)
        if message is None:
            await asyncio.sleep(60)
        return message

    async def send(message):
        sent.append(message)

    async def call():
        guard = page_guard.Guard(app, None, {}, "/tmp", seconds, most)
        guard.posts = posts
        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "scheme": "http"}
        await guard(scope | {"query_string": b""}, receive, send)
        assert guard.posts == posts

    asyncio.run(call())
    if not sent:
        return None, {}, {}, bool(reached)
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"]), bool(reached)


def part(data, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


def test_slow_large_gone_and_many(capfd):
    status, _, answer, reached = answer_to([part(b"0")], seconds=0.1)
    assert status == 408 and "not complete after" in answer["error"] and not reached
    status, headers, answer, reached = answer_to([part(bytes(1 << 20))] * 16 + [part(b"", False)])
    assert status == 413 and "16.0 MB; at most 10 MB" in answer["error"] and not reached
    assert headers[b"connection"] == b"close"
    assert answer_to([part(bytes(8 << 20))] * 20)[0] == 413, "endless"
    assert answer_to([], headers=[(b"content-length", b"99999999999")])[0] == 413
    assert answer_to([part(b"0"), {"type": "http.disconnect"}]) == (None, {}, {}, False)
    status, headers, answer, reached = answer_to([part(b"0", False)], posts=5)
    assert status == 503 and headers[b"retry-after"] == b"3" and "Too many" in answer["error"] and not reached
    assert answer_to([part(b"0", False)])[3]
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 6 and "the client is gone" in said and "Traceback" not in said


def test_the_path_of_a_client_cannot_write_on_the_terminal(capfd):
    page_guard.say({"method": "GET", "path": "/\n\x1b[2J" + "x" * 500}, "gone")
    said = capfd.readouterr().err
    assert "\x1b" not in said and said.count("\n") == 1 and len(said) < 200


def test_large_pictures_are_drawn_small():
    for shape, wanted in [((2000, 3000, 3), (667, 1000, 3)), ((960, 30, 3), (960, 30, 3))]:
        assert uploads.small_copy(np.zeros(shape, np.uint8)).shape == wanted
