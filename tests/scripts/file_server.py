"""A file server with byte ranges that can break off, send wrong data or fail, for the tests of the downloads."""

import contextlib
import http.server

from tests.web import serving


class Files:
    """The content and the faults of the server.

    Attributes:
      content: dict path -> bytes. kinds: dict path -> content type.
      break_at: dict path -> list of byte counts after which the next answers end.
      answers: dict path -> list of statuses of the next answers. ranges: whether it supports byte ranges.
      raw: dict path -> function that writes the answer itself; its arguments: the connection's file, an event that is
        set when the server stops.
      etag: ETag of all files, None for none. log: list of (path, Range header or None). sent: bytes of bodies sent.
    """

    def __init__(self, **content):
        self.content = {"/" + name.replace("__", "."): data for name, data in content.items()}
        self.kinds, self.break_at, self.answers, self.ranges, self.etag = {}, {}, {}, True, '"one"'
        self.log, self.sent, self.raw = [], 0, {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        files, wanted = self.server.files, self.headers.get("Range")
        path = self.path.partition("?")[0]
        files.log.append((path, wanted))
        if path in files.raw:
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client closed the connection
                files.raw[path](self.wfile, self.server.stopping)
            return None
        if files.answers.get(path):
            return self.send_error(files.answers[path].pop(0))
        if path not in files.content:
            return self.send_error(404)
        data, start, status = files.content[path], 0, 200
        changed = "If-Range" in self.headers and self.headers["If-Range"] != files.etag
        if files.ranges and wanted and not changed:
            start, status = int(wanted.removeprefix("bytes=").partition("-")[0]), 206
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return None
        self.send_response(status)
        self.send_header("Content-Type", files.kinds.get(path, "application/octet-stream"))
        self.send_header("Content-Length", str(len(data) - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if files.etag:
            self.send_header("ETag", files.etag)
        self.end_headers()
        body = data[start:]
        if files.break_at.get(path):
            body = body[: files.break_at[path].pop(0)]
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        files.sent += len(body)

    def log_message(self, *_):
        pass


def serve(files):
    """Serves files within the block; yields the address."""
    return serving.serve(Handler, files=files)
