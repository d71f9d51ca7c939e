"""Silent connections and those beyond the limit are closed."""

import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install -r requirements-serve.txt")
import uvicorn

from web import connections

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port():
    """The port of a running server."""
    settings = uvicorn.Config(app, http=connections.Limited, lifespan="off", log_level="warning")
    server = uvicorn.Server(settings)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield bound.getsockname()[1]
        server.should_exit = True
        thread.join(20)


def heard(connection):
    """Returns the bytes received until the connection ends or fails."""
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


def test_limits(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    silent, speaking = (socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(2))
    speaking.sendall(REQUEST)
    assert speaking.recv(100).startswith(b"HTTP/1.1 204")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as third:
        assert heard(third) == b""
    start = time.monotonic()
    silent.sendall(b"GET /")
    assert heard(silent) == b"" and time.monotonic() - start < 10
    speaking.sendall(REQUEST)
    assert speaking.recv(100).startswith(b"HTTP/1.1 204"), "a connection that has sent a request stays open"
    silent.close()
    speaking.close()
