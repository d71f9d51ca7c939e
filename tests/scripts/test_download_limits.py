"""Downloads from servers that send too much, too slowly or endlessly are limited in bytes, seconds and attempts."""

import os

import pytest

import cli
from preprocessing.sources import downloads
from scripts import download
from tests.scripts.download_runs import DATA, entry, note, run
from tests.scripts.file_server import Files, serve
from tests.time_limit import time_limit

HEAD, MEGABYTE = b"HTTP/1.1 200 OK\r\n", bytes(1 << 20)


def endless(begin, block, pause=0.0):
    """Returns an answer that continues until the client closes the connection, or for 500 blocks."""

    def answer(file, stopping):
        file.write(begin)
        for _ in range(500):
            file.write(block)
            if stopping.wait(pause):
                return

    return answer


BODY = endless(HEAD + b"\r\n", MEGABYTE)


def test_more_bytes_than_stated(tmp_path, capsys):
    bad, good = Files(), Files(a__bin=DATA)
    bad.raw["/a.bin"] = BODY
    with serve(bad) as address, serve(good) as other, time_limit(20):
        with pytest.raises(cli.UserError, match="not the file of the manifest: more than 3000000 bytes come"):
            run(tmp_path, entry([f"{address}/a.bin"]))
        assert os.listdir(tmp_path / "to/own") == []
        own = run(tmp_path, entry([f"{address}/a.bin", f"{other}/a.bin"]))
    assert (own / "a.bin").read_bytes() == DATA and len(bad.log) == 2


UNKNOWN = {"bytes": None, "sha256": None, "md5": None}


@pytest.mark.parametrize("known, settings", [(UNKNOWN, {}), ({}, {"unchecked": True}), (UNKNOWN | {"most": 9}, {})])
def test_a_file_of_unknown_size_has_a_limit(tmp_path, monkeypatch, known, settings):
    monkeypatch.setattr(downloads, "MAX_UNKNOWN", 4_000_000)
    most = known.get("most", 4_000_000)
    files = Files(b__bin=bytes(4_000_001))
    files.raw["/a.bin"] = BODY
    with serve(files) as address, time_limit(20):
        for name, what in (("a", f"more than {most} bytes come"), ("b", "it has 4000001 bytes")):
            message = f"{what}; at most {most} are accepted for a file of unknown size"
            with pytest.raises(cli.UserError, match=message):
                run(tmp_path, entry([f"{address}/{name}.bin"], **known), **settings)
    assert os.listdir(tmp_path / "to/own") == []


def test_a_disk_that_fills_up(tmp_path, monkeypatch):
    free = iter([10**10] * 2 + [50 << 20] * 100)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": next(free)}))
    files = Files()
    files.raw["/a.bin"] = BODY
    with (
        serve(files) as address,
        time_limit(20),
        pytest.raises(cli.UserError, match="needs .* and 0.00 GB are free"),
    ):
        run(tmp_path, entry([f"{address}/a.bin"], **UNKNOWN))


@pytest.mark.parametrize(
    "answer",
    [
        endless(HEAD + b"\r\n", b"x", pause=0.03),
        endless(HEAD, b"X: y\r\n", pause=0.03),
        endless(HEAD, b"X", pause=0.03),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause=0.01),
    ],
    ids=["body", "headers", "a header", "interim answers"],
)
def test_drips(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(downloads, "SLOWEST", 0.4)
    files = Files()
    files.raw["/a.bin"] = answer
    with serve(files) as address, time_limit(20):
        with pytest.raises(cli.UserError, match="TooSlow: no answer, or less than 1 MB, within 0.4 s .2 tries"):
            run(tmp_path, entry([f"{address}/a.bin"]), attempts=2)
    assert len(files.log) == 2


def test_a_large_file_may_take_longer_than_a_drip(tmp_path, monkeypatch):
    """The time limit is for each MB."""
    monkeypatch.setattr(downloads, "SLOWEST", 0.6)
    files = Files()

    def answer(file, stopping):
        file.write(HEAD + b"Content-Length: %d\r\n\r\n" % (5 << 20))
        for _ in range(5):
            stopping.wait(0.3)
            file.write(MEGABYTE)

    files.raw["/a.bin"] = answer
    with serve(files) as address, time_limit(20):
        own = run(tmp_path, entry([f"{address}/a.bin"], bytes(5 << 20)), attempts=1)
    assert (own / "a.bin").stat().st_size == 5 << 20 and len(files.log) == 1


def test_headers_without_end(tmp_path):
    files = Files()
    files.raw["/a.bin"] = endless(HEAD, b"X: y\r\n" * 10_000)
    with serve(files) as address, time_limit(20), pytest.raises(cli.UserError, match="RemoteProtocolError"):
        run(tmp_path, entry([f"{address}/a.bin"]))


def test_redirects(tmp_path):
    files = Files(a__bin=DATA)
    moved = b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n"
    files.raw["/loop"] = endless(moved % b"/loop", b"")
    files.raw["/port"] = endless(moved % b"http://127.0.0.1:99999999/", b"")
    files.raw["/host"] = endless(moved % b"http://.127.0.0.1/", b"")
    files.raw["/moved"] = endless(moved % b"/a.bin", MEGABYTE, pause=0.05)  # its body is not read
    with serve(files) as address, time_limit(20):
        with pytest.raises(cli.UserError, match="more than 10 redirects\n.*port: not a URL.*\n.*host: not a URL"):
            run(tmp_path, entry([f"{address}/{name}" for name in ("loop", "port", "host")]))
        assert len(files.log) == 11 + 2
        own = run(tmp_path, entry([f"{address}/moved"]))
    assert (own / "a.bin").read_bytes() == DATA and note(tmp_path)["url"].endswith("/moved")


def test_a_mirror_that_breaks_off_after_every_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_TRIES", 20)
    files = Files(a__bin=DATA)
    files.break_at["/a.bin"] = [1] * 1000
    with (
        serve(files) as address,
        time_limit(20),
        pytest.raises(cli.UserError, match="without sending complete message body .* .20 tries"),
    ):
        run(tmp_path, entry([f"{address}/a.bin"]), backoff=0.0)
    assert len(files.log) == 20


@pytest.mark.parametrize("total", ["\u00b2", "9" * 5000, "-3", "*"])
def test_sizes_that_are_no_numbers(tmp_path, total):
    (tmp_path / "to/own").mkdir(parents=True)
    (tmp_path / "to/own/a.bin.part").write_bytes(DATA[:1000])
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1000-/{total}\r\n\r\n".encode("latin-1")
    files = Files()
    files.raw["/a.bin"] = lambda file, _: file.write(head + DATA[1000:])
    with serve(files) as address, time_limit(20):
        own = run(tmp_path, entry([f"{address}/a.bin"]))
    assert (own / "a.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    "limit, message", [("MAX_IMAGES", "links to 2 images, more than 1"), ("MAX_IMAGE", "at most 1 ")]
)
def test_limits_of_linked_images(tmp_path, monkeypatch, limit, message):
    monkeypatch.setattr(download, limit, 1)
    page = b"".join(b"<td><img src='%d.jpg'><td>text" % i for i in range(2))
    files = Files()
    files.content = {"/site/": page, "/site/0.jpg": b"jpeg", "/site/1.jpg": b"jpeg"}
    files.kinds["/site/"] = "text/html"
    with serve(files) as address, pytest.raises(cli.UserError, match=message):
        run(tmp_path, entry([f"{address}/site/"], page, "p.html", linked_images="images"))
