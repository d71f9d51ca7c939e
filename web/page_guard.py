"""Middleware that checks requests to serve.py and refuses all that the endpoint and the page do not need.

Gradio has many routes, and reads files and addresses that its clients name. Here only the routes that the page uses are
open. A request to Gradio's queue (an event of the page, such as a click) is replaced by a new one that holds only
checked values.
"""

import asyncio
import json
import os
import re
import sys
import tempfile

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from web.bodies import HINT, MAX_BODY
from web.uploads import MAX_BYTES, Refused, check_size

MAX_EVENT = 64 << 10  # bytes of a request to the queue
FORM = 64 << 10  # bytes of an upload in addition to the file
PATIENCE = 8 * MAX_BYTES  # bytes that are read of a body that is too large, so that its sender gets the error
PART = 64 << 10  # bytes that are passed on at once
BODY_SECONDS = 15
MAX_POSTS = 256  # POST requests at once
UPLOAD, JOIN, FILE = "/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/file="
POSTS = {"/caption": MAX_BODY, UPLOAD: MAX_BYTES + FORM, JOIN: MAX_EVENT}
ASKING = ("/gradio_api/queue/data", "/gradio_api/upload_progress")  # routes with a query
READ = re.compile(
    r"/|/(runs|config|theme\.css|manifest\.json|favicon\.ico|robots\.txt)|/(assets|static)/[\w./-]+"
    r"|/gradio_api/(startup-events|heartbeat/\w{1,64}|queue/data|upload_progress)"
)


class Guard:
    """ASGI middleware that refuses requests, or passes them on with a complete and checked body."""

    def __init__(self, app, register, events, folder, seconds=BODY_SECONDS, most=MAX_POSTS):
        """Wraps the application `app`.

        Args:
          app: ASGI application. register: uploads.Register, to which uploads are added.
          events: dict index of a Gradio event (`fn_index`) -> list of functions, one for each input field, which return
            the checked value or raise Refused; from page.events_of.
          folder: where Gradio writes files.
          seconds: time limit for a body. most: maximum number of POST requests at once.
        """
        self.app, self.register, self.events = app, register, events
        self.folder, self.seconds, self.most = os.path.realpath(folder), seconds, most
        self.posts, self.uploading = 0, asyncio.Lock()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            self._check_door(scope)
        except Refused as refused:
            return await _answer(scope, receive, send, refused)
        if scope["path"] not in ("/caption", *ASKING, UPLOAD):
            scope = scope | {"query_string": b""}
        if scope["method"] != "POST":
            return await self.app(scope, receive, send)
        self.posts += 1
        try:
            await self._post(scope, receive, send)
        finally:
            self.posts -= 1

    def _check_door(self, scope):
        """Raises Refused for requests that pages of other sites send, and for routes that the page does not use.

        It also refuses a POST request if too many of them are open. Args: scope: ASGI scope.
        """
        headers, path = dict(scope["headers"]), scope["path"]
        origin = headers.get(b"origin")
        own = scope["scheme"].encode() + b"://" + headers.get(b"host", b"")
        if origin is not None and origin.lower() != own.lower():
            raise Refused("Requests of other pages are not answered here (Origin).", 403)
        if scope["method"] == "POST" and path in POSTS:
            if self.posts >= self.most:
                raise Refused("Too many requests are open here; try again in a few seconds.", 503)
        elif path == "/caption":
            raise Refused(f"/caption is for POST; {HINT}.", 405)
        elif scope["method"] not in ("GET", "HEAD") or not self._may_be_read(path):
            raise Refused("There is nothing here.", 404)

    def _may_be_read(self, path):
        """Returns a true value if `path` is a route of the page for GET, or a file in Gradio's folder."""
        if not path.startswith(FILE):
            return READ.fullmatch(path) and ".." not in path
        name = path.removeprefix(FILE)
        try:
            return os.path.isabs(name) and os.path.realpath(name).startswith(self.folder + os.sep)
        except ValueError:  # NUL
            return False

    async def _post(self, scope, receive, send):
        """Passes a POST request on once its whole body has arrived, so that the application never sees part of one."""
        with tempfile.TemporaryFile(dir=self.folder) as body:
            try:
                await receive_body(receive, scope, body, self.seconds)
                if scope["path"] == JOIN:
                    scope = self._rewrite(scope, body)
            except ClientDisconnect:
                return say(scope, "the client is gone")
            except Refused as refused:
                return await _answer(scope, receive, send, refused)
            body.seek(0)
            if scope["path"] == UPLOAD:
                async with self.uploading:
                    await self._upload(scope, replayed(body, receive), send)
            else:
                await self.app(scope, replayed(body, receive), send)

    async def _upload(self, scope, receive, send):
        """Lets Gradio write files and registers them before it answers the browser. Removes unfinished files."""
        held = []

        async def hold(message):
            held.append(message)

        await self.app(scope, receive, hold)
        if held[0]["status"] == 200:
            for path in json.loads(b"".join(message.get("body", b"") for message in held)):
                self.register.add(path)
        for entry in os.scandir(self.folder):
            if entry.name.startswith("tmp") and entry.is_file(follow_symlinks=False):
                os.remove(entry.path)
        for message in held:
            await send(message)

    def _rewrite(self, scope, body):
        """Replaces the body of a request to the queue by a checked one; returns the changed ASGI scope.

        Args: body: file with the body, rewritten in place. Raises: Refused.
        """
        body.seek(0)
        data = self._event(body.read())
        body.seek(0)
        body.truncate()
        body.write(data)
        told = {b"content-length": str(len(data)).encode(), b"content-type": b"application/json"}
        return scope | {"headers": [*[pair for pair in scope["headers"] if pair[0] not in told], *told.items()]}

    def _event(self, data):
        """Checks the body of a request to the queue; returns a new body with only the checked values: JSON as bytes.

        Args: data: bytes, the body. Raises: Refused for another event or a wrong value.
        """
        try:
            told = json.loads(data)
            number, values, session = told["fn_index"], told["data"], told["session_hash"]
            takes = self.events[number]
            sound = type(number) is int and len(values) == len(takes) and re.fullmatch(r"\w{1,64}", session)
            trigger = told.get("trigger_id")
            sound = sound and type(values) is list and (trigger is None or type(trigger) is int)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            sound = False
        if not sound:
            raise Refused("This is not an event of this page.", 422)
        values = [take(value) for take, value in zip(takes, values, strict=True)]
        kept = {"data": values, "fn_index": number, "session_hash": session, "trigger_id": trigger}
        return json.dumps(kept).encode()


async def receive_body(receive, scope, file, seconds):
    """Writes the body of a request to a file.

    Args: receive: ASGI function. scope: ASGI scope, whose path (a key of POSTS) determines the maximum size.
      file: binary file open for writing, which is not closed. seconds: time limit for the whole body.
    Raises: Refused if the body is too large or too slow; ClientDisconnect if the client disconnects before its end.
    """
    most, count, complete = POSTS[scope["path"]], 0, False
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if announced.isdigit() and int(announced) > PATIENCE:
        raise _too_large(int(announced), most)
    try:
        async with asyncio.timeout(seconds):
            while not complete and count <= PATIENCE:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                count += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if count <= most:
                    file.write(message.get("body", b""))
    except TimeoutError:
        raise Refused(f"The request was not complete after {seconds} seconds.", 408) from None
    if count > most:
        raise _too_large(count, most)


def replayed(file, after):
    """Returns an ASGI function `receive` that sends the content of `file` as the body, and then calls `after`.

    Args: file: binary file, read from its position; it must stay open, and the function does not close it.
      after: ASGI function `receive` of the server.
    """
    ended = False

    async def receive():
        nonlocal ended
        if ended:
            return await after()
        data = file.read(PART)
        ended = not data
        return {"type": "http.request", "body": data, "more_body": not ended}

    return receive


def _too_large(count, most):
    """Returns the Refused for a body that is too large. Args: count: its bytes. most: accepted bytes."""
    try:
        check_size(count)
    except Refused as refused:
        return refused
    return Refused(f"The request has {count} bytes; at most {most} are accepted.", 413)


def say(scope, message):
    """Prints a line about a request to stderr: method, path and message. The client chose the path, so it is escaped.

    Args: scope: ASGI scope. message: text, printed as it is.
    """
    print(f"{scope['method'][:10]} {ascii(scope['path'][:100])}: {message}", file=sys.stderr, flush=True)


def refusal(refused):
    """Returns the JSONResponse, with its HTTP status, for a Refused.

    The JSON object has the message twice: as "error", and as "detail", which Gradio's page shows.
    """
    headers = {503: {"Retry-After": "3"}, 405: {"Allow": "POST"}}.get(refused.status, {})
    return JSONResponse({"error": refused.message, "detail": refused.message}, refused.status, headers)


async def _answer(scope, receive, send, refused):
    """Prints why a request is refused, and answers it. Args: scope, receive, send: of ASGI. refused: Refused."""
    say(scope, f"{refused.status} {refused.message}")
    response = refusal(refused)
    response.headers["Connection"] = "close"  # the rest of the body is not read
    await response(scope, receive, send)
