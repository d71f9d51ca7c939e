"""A search site that fails in every way, for the tests of the crawler: one process, one thread for each connection."""

import contextlib
import gzip
import http.server
import json
import threading
import time
import urllib.parse
import zlib

from tests.web import serving

RESULTS = 5  # on a page
GIGABYTE = 1 << 30


def descriptions(query, page):
    """What the site says on one page of the results for a query."""
    return [f'{query} number {i} on page {page}, with ümläut and "quotes"' for i in range(RESULTS)]


def html(query, page, pages):
    """A search page with its records as JSON-LD."""
    records = [
        {"@type": "ImageObject", "description": text, "keywords": None, "name": "x"}
        for text in descriptions(query, page)
    ]
    other = json.dumps({"@type": "Organization", "name": "agency"})
    return (
        f'<html><head><script type="application/ld+json">{other}</script>'
        f'<script data-x="1" type="application/ld+json">{json.dumps(records)}</script></head>'
        f'<body><input type="number" data-max="{pages}" value="{page}"><p>a < b & c</p></body></html>'
    ).encode()


def api(query, page, pages):
    """An answer of the search API."""
    data = [{"id": str(i), "description": text} for i, text in enumerate(descriptions(query, page))]
    return json.dumps({"data": data, "page": page, "per_page": RESULTS, "total_count": pages * RESULTS}).encode()


class Site:
    """What the server does.

    Attributes:
      pages: number of result pages. delay: seconds before an answer. late: the same for single pages, by number.
      faults: dict page -> list of faults for its first requests; the last one stays when it is "always".
      robots: robots.txt as (status, text).
      log: list of (seconds, path, query, page) of the requests. most: most requests at a time. sent: bytes of bodies.
    """

    def __init__(self, pages=3, delay=0.0, faults=None, robots=(404, "")):
        self.pages, self.delay, self.faults, self.robots = pages, delay, dict(faults or {}), robots
        self.late = {}
        self.log, self.most, self.sent, self.served = [], 0, 0, []
        self.lock, self._busy = threading.Lock(), 0

    def next_fault(self, page):
        with self.lock:
            left = self.faults.get(page, [])
            if not left:
                return None
            if len(left) == 2 and left[1] == "always":
                return left[0]
            return left.pop(0)

    @contextlib.contextmanager
    def working(self):
        with self.lock:
            self._busy += 1
            self.most = max(self.most, self._busy)
        yield
        with self.lock:
            self._busy -= 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site, parts = self.server.site, urllib.parse.urlsplit(self.path)
        if parts.path == "/robots.txt":
            return self.reply(site.robots[1].encode(), site.robots[0], "text/plain")
        values = urllib.parse.parse_qs(parts.query)
        page = int(values.get("page", ["0"])[0])
        query = (values.get("searchterm") or values.get("query") or [""])[0]
        with site.lock:
            site.log.append((time.monotonic(), self.path, query, page))
        with site.working():
            time.sleep(site.late.get(page, site.delay))
            self.content = (html if parts.path == "/search" else api)(query, page, site.pages)
            fault = site.next_fault(page)
            if fault is not None:
                with contextlib.suppress(OSError):  # the crawler hangs up
                    getattr(self, "fault_" + fault)()
                return None
            site.served.append((query, page))
            if "gzip" in self.headers.get("Accept-Encoding", ""):
                return self.reply(gzip.compress(self.content), Content_Encoding="gzip")
            return self.reply(self.content)

    def reply(self, body, status=200, kind="text/html", **headers):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    # ------------------------------------------------------------------------------------------------ faults

    def fault_429(self):
        self.reply(b"slow down", 429, Retry_After=1)

    def fault_429_date(self):
        self.reply(b"slow down", 429, Retry_After=self.date_time_string(time.time() + 1))

    def fault_429_tomorrow(self):
        self.reply(b"slow down", 429, Retry_After=86400)

    def fault_429_never(self):
        self.reply(b"slow down", 429, Retry_After="9" * 400)

    def fault_429_soon(self):
        self.reply(b"slow down", 429, Retry_After="soon")

    def fault_429_negative(self):
        self.reply(b"slow down", 429, Retry_After=-5)

    def fault_429_nan(self):
        self.reply(b"slow down", 429, Retry_After="nan")

    def fault_429_superscript(self):
        """A digit by Unicode, and no number for Python."""
        self.reply(b"slow down", 429, Retry_After="²")

    def fault_429_year_0(self):
        self.reply(b"slow down", 429, Retry_After="Mon, 01 Jan 0000 00:00:00 GMT")

    def fault_500(self):
        self.reply(b"oops", 500)

    def fault_404(self):
        self.reply(b"gone", 404)

    def fault_401(self):
        self.reply(b"who are you", 401)

    def fault_silence(self):
        self.close_connection = True
        self.server.stopping.wait(2)

    def fault_drip(self):
        """A body that comes byte by byte, each in time."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        for byte in self.content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.stopping.wait(0.1):
                return

    def fault_endless_headers(self):
        self.close_connection = True
        for number in range(GIGABYTE >> 16):
            self.wfile.write((b"HTTP/1.1 200 OK\r\n" if number == 0 else b"") + b"X: y\r\n" * (1 << 13))

    def fault_drip_of_headers(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.stopping.wait(0.05):
            self.wfile.write(b"X: y\r\n")

    def fault_endless_hints(self):
        """Interim answers, and never the answer itself."""
        self.close_connection = True
        while not self.server.stopping.is_set():
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    def fault_hang_up(self):
        self.close_connection = True

    def fault_cut_body(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2])
        self.close_connection = True

    def fault_malformed_json(self):
        self.reply(self.content.replace(b'"description"', b"'description'").replace(b'{"data"', b"{'data'"))

    def fault_changed_markup(self):
        self.reply(b"<html><body><div class='new'>photos</div></body></html>")

    def fault_no_page_count(self):
        self.reply(self.content.replace(b"data-max", b"data-most"))

    def fault_comments(self):
        self.reply(b"<!--" * (250 << 10))

    def fault_marked_sections(self):
        self.reply(b"<![" * (300 << 10))

    def fault_attributes(self):
        self.reply(b"<a " + b" ".join(b"b%d=1" % i for i in range(100_000)) + b">")

    def fault_nested_tags(self):
        self.reply(b"<div>" * (200 << 10))

    def fault_binary(self):
        self.reply(bytes(range(256)) * 50)

    def fault_bad_gzip(self):
        self.reply(self.content, Content_Encoding="gzip")

    def fault_redirects(self):
        self.reply(b"", 302, Location=self.path + "&again=1")

    def fault_elsewhere(self):
        self.reply(b"", 302, Location="http://localhost:9/search")

    def fault_bad_redirect(self):
        self.reply(b"", 302, Location="http://[nonsense")

    def fault_long_redirect(self):
        self.reply(b"", 302, Location=self.path + "&x=" + "y" * 50_000)

    def fault_gigabyte(self):
        """A body of 1 GB in chunks, of no announced length."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        block = b"x" * (1 << 16)
        for _ in range(GIGABYTE // len(block)):
            self.wfile.write(b"10000\r\n" + block + b"\r\n")
            self.server.site.sent += len(block)
        self.wfile.write(b"0\r\n\r\n")

    def fault_gigabyte_announced(self):
        self.send_response(200)
        self.send_header("Content-Length", str(GIGABYTE))
        self.end_headers()
        block = b"x" * (1 << 16)
        for _ in range(GIGABYTE // len(block)):
            self.wfile.write(block)
            self.server.site.sent += len(block)

    def fault_bomb(self):
        """A megabyte on the line, a gigabyte unpacked."""
        self.reply(BOMB, Content_Encoding="gzip")

    def fault_packed_nothing(self):
        """A body of 1 GB that unpacks to nothing: empty blocks."""
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(gzip.compress(b"")[:10])
        block = b"\0\0\0\xff\xff" * (1 << 14)
        for _ in range(GIGABYTE // len(block)):
            self.wfile.write(block)
            self.server.site.sent += len(block)


def _bomb():
    """1 GB of zeros, compressed."""
    packer, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(1 << 20)
    return b"".join([packer.compress(zeros) for _ in range(64)] + [packer.flush()]) * (GIGABYTE >> 26)


BOMB = _bomb()


def serve(site):
    """Serves a site; yields its address."""
    return serving.serve(Handler, site=site)
