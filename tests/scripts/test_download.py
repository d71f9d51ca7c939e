"""Downloads from a local server: interruptions, wrong checksums, dead mirrors, missing files, hostile archives."""

import hashlib
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile

import pytest

import cli
from preprocessing.sources import datasets, downloads
from scripts import download
from tests.scripts.download_runs import DATA, entry, note, run
from tests.scripts.file_server import Files, serve

ROOT = pathlib.Path(__file__).resolve().parents[2]


def dead():
    """Returns an address where no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------------------
# One file


def test_a_file(tmp_path, capsys):
    files = Files(a__bin=DATA)
    with serve(files) as address:
        own = run(tmp_path, entry([f"{address}/a.bin"]))
        assert (own / "a.bin").read_bytes() == DATA and os.listdir(own) == ["a.bin"]
        assert note(tmp_path)["sha256"] == hashlib.sha256(DATA).hexdigest() and note(tmp_path)["compared"] == "sha256"
        run(tmp_path, entry([f"{address}/a.bin"]))
    assert files.log == [("/a.bin", None)] and "complete, nothing to do" in capsys.readouterr().out


def test_broken_off_and_resumed(tmp_path):
    files = Files(a__bin=DATA)
    files.break_at["/a.bin"] = [
        1_000_000,
        500_000,
        200_000,
        100_000,
        10,
    ]  # more breaks than attempts, each with progress
    with serve(files) as address:
        own = run(tmp_path, entry([f"{address}/a.bin"]))
    assert (own / "a.bin").read_bytes() == DATA and files.sent == len(DATA)
    starts = [1_000_000, 1_500_000, 1_700_000, 1_800_000, 1_800_010]
    assert files.log == [("/a.bin", None)] + [("/a.bin", f"bytes={start}-") for start in starts]


def test_resumed_by_a_later_run_and_by_another_mirror(tmp_path):
    first, second = Files(a__bin=DATA), Files(a__bin=DATA)
    first.break_at["/a.bin"] = [700_000]
    first.answers["/a.bin"] = []
    with serve(first) as address, serve(second) as other:
        urls = [f"{address}/a.bin", f"{other}/a.bin"]

        def breaks(files):
            files.answers["/a.bin"] = [500] * 9

        with pytest.raises(cli.UserError, match="answer 500"):
            real, attempts = downloads.time.sleep, []
            downloads.time.sleep = lambda seconds: (attempts.append(seconds), breaks(first))
            try:
                run(tmp_path, entry(urls[:1]))
            finally:
                downloads.time.sleep = real
        assert (tmp_path / "to/own/a.bin.part").stat().st_size == 700_000 and len(attempts) >= 2
        own = run(tmp_path, entry(urls[1:]))  # the checksum is known, so the part from the other mirror can be used
    assert (own / "a.bin").read_bytes() == DATA and second.log == [("/a.bin", "bytes=700000-")]
    assert os.listdir(own) == ["a.bin"]


def test_a_part_of_another_mirror_is_of_no_use_without_a_checksum(tmp_path):
    own = tmp_path / "to/own"
    own.mkdir(parents=True)
    (own / "a.bin.part").write_bytes(b"x" * 1000)
    (own / "a.bin.part.json").write_text('{"url": "http://elsewhere/a.bin", "validator": null}')
    files = Files(a__bin=DATA)
    with serve(files) as address:
        run(tmp_path, entry([f"{address}/a.bin"], bytes=None, sha256=None, md5=None))
    assert files.log == [("/a.bin", None)] and (own / "a.bin").read_bytes() == DATA
    assert note(tmp_path)["compared"] is None


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_changed_meanwhile(tmp_path, known):
    """With another ETag the server sends the file from the beginning."""
    own = tmp_path / "to/own"
    own.mkdir(parents=True)
    (own / "a.bin.part").write_bytes(b"x" * 1000)
    files = Files(a__bin=DATA)
    with serve(files) as address:
        (own / "a.bin.part.json").write_text(json.dumps({"url": f"{address}/a.bin", "validator": '"old"'}))
        run(tmp_path, entry([f"{address}/a.bin"], **({} if known else {"bytes": None, "sha256": None, "md5": None})))
    assert files.log == [("/a.bin", "bytes=1000-")] and (own / "a.bin").read_bytes() == DATA


def test_a_damaged_part_is_fetched_anew(tmp_path, capsys):
    own = tmp_path / "to/own"
    own.mkdir(parents=True)
    (own / "a.bin.part").write_bytes(b"x" * 1000)
    files = Files(a__bin=DATA)
    with serve(files) as address:
        run(tmp_path, entry([f"{address}/a.bin"]))
    assert files.log == [("/a.bin", "bytes=1000-"), ("/a.bin", None)] and (own / "a.bin").read_bytes() == DATA
    assert "downloading it again" in capsys.readouterr().out


def test_a_complete_part_and_one_that_is_too_long(tmp_path):
    own = tmp_path / "to/own"
    own.mkdir(parents=True)
    files = Files(a__bin=DATA)
    with serve(files) as address:
        (own / "a.bin.part").write_bytes(DATA)
        run(tmp_path, entry([f"{address}/a.bin"]))
        assert files.sent == 0 and (own / "a.bin").read_bytes() == DATA
        (own / "a.bin").unlink()
        (own / "a.bin.part").write_bytes(DATA + b"more")
        run(tmp_path, entry([f"{address}/a.bin"]))
    assert (own / "a.bin").read_bytes() == DATA


def test_a_server_without_ranges(tmp_path):
    files = Files(a__bin=DATA)
    files.ranges, files.etag = False, None
    files.break_at["/a.bin"] = [1_000_000]
    with serve(files) as address:
        own = run(tmp_path, entry([f"{address}/a.bin"]))
    assert (own / "a.bin").read_bytes() == DATA and files.sent == 1_000_000 + len(DATA)


# --------------------------------------------------------------------------------------------------------------
# Mirrors


def test_mirrors_in_order(tmp_path, capsys):
    wrong = Files(a__bin=DATA[:-1] + b"?")  # the right size, but other content
    short = Files(a__bin=DATA[:-5])
    page = Files(a__bin=b"<html>please log in</html>")
    page.kinds["/a.bin"] = "text/html; charset=utf-8"
    right = Files(a__bin=DATA)
    with serve(wrong) as first, serve(short) as second, serve(page) as third, serve(right) as last:
        urls = [f"{dead()}/a.bin", f"{first}/none.bin", *(f"{it}/a.bin" for it in (first, second, third, last))]
        own = run(tmp_path, entry(urls))
    assert (own / "a.bin").read_bytes() == DATA and note(tmp_path)["url"] == urls[-1]
    printed = capsys.readouterr().out
    for reason in (
        "ConnectError",
        "answer 404",
        "its sha256 is",
        "it has 2999995 bytes, not 3000000",
        "a web page instead",
    ):
        assert reason in printed


def test_all_gone(tmp_path):
    files = Files(b__bin=DATA)
    with serve(files) as address:
        second = entry([f"{address}/b.bin"], name="b", file="b.bin")
        with pytest.raises(cli.UserError) as caught:
            run(tmp_path, entry([f"{dead()}/a.bin", f"{address}/a.bin"]), second, names=("all",))
    text = str(caught.value)
    assert "1 of the files could not be downloaded" in text and "a (a.bin): no mirror has it" in text
    assert "ConnectError" in text and "/a.bin: answer 404" in text and "What to do: Ask a colleague." in text
    assert (tmp_path / "to/own/b.bin").exists() and not (tmp_path / "to/own/a.bin").exists()  # the others are fetched


def test_by_hand(tmp_path):
    with pytest.raises(cli.UserError, match="cannot be fetched by a program.\nWhat to do: Ask a colleague."):
        run(tmp_path, entry([]))
    (tmp_path / "to/own/a.bin").write_bytes(b"another")
    with pytest.raises(cli.UserError, match="is there, but it has 7 bytes, not 3000000. Move it away"):
        run(tmp_path, entry([]))
    (tmp_path / "to/own/a.bin").write_bytes(DATA)
    run(tmp_path, entry([]))
    assert note(tmp_path)["url"] is None and note(tmp_path)["compared"] == "sha256"


def test_wrong_checksum_and_unchecked(tmp_path, capsys):
    files = Files(a__bin=b"other content")
    with serve(files) as address:
        with pytest.raises(cli.UserError, match="not the file of the manifest.*\n.*\n.*--unchecked accepts the file"):
            run(tmp_path, entry([f"{address}/a.bin"], bytes=None))
        assert not list((tmp_path / "to/own").iterdir())
        own = run(tmp_path, entry([f"{address}/a.bin"]), unchecked=True)
    assert (own / "a.bin").read_bytes() == b"other content" and note(tmp_path)["compared"] is None
    assert "accepted because of --unchecked" in capsys.readouterr().out


def test_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 200 << 20}))
    files = Files(a__bin=DATA)
    with serve(files) as address, pytest.raises(cli.UserError, match="needs 13.51 GB, and 0.10 GB are free"):
        run(tmp_path, entry([f"{address}/a.bin"], bytes=13_510_573_713))
    assert files.log == []


# --------------------------------------------------------------------------------------------------------------
# Archives, linked images, kills


def test_unpacked(tmp_path):
    files = Files(a__zip=zipped({"top/": "", "top/x.jpg": "x", "top/deep/y.jpg": "yy", "__MACOSX/top/._x.jpg": "no"}))
    data = files.content["/a.zip"]
    with serve(files) as address:
        one = entry([f"{address}/a.zip"], data, "a.zip", unpack={"folder": "images", "flatten": True})
        own = run(tmp_path, one)
        assert sorted(path.name for path in own.rglob("*")) == ["images", "x.jpg", "y.jpg"]
        assert note(tmp_path)["unpacked"] == {"folder": "images", "files": 2, "bytes": 3}
        run(tmp_path, one)
        assert len(files.log) == 1  # nothing to do, although the archive is gone
        own = run(tmp_path / "kept", one | {"unpack": {"folder": "."}}, keep_archives=True)
        assert (own / "a.zip").exists() and (own / "top/deep/y.jpg").read_text() == "yy"


def test_a_hostile_archive(tmp_path):
    files = Files(a__zip=zipped({"good.txt": "x", "../../evil.txt": "y"}))
    with (
        serve(files) as address,
        pytest.raises(cli.UserError, match="evil.txt', a name that leads out of the folder"),
    ):
        run(tmp_path, entry([f"{address}/a.zip"], files.content["/a.zip"], "a.zip", unpack={"folder": "."}))
    assert not list(tmp_path.rglob("*.txt")) and not (tmp_path / "to/.downloads/a.json").exists()


def test_images_that_a_page_links_to(tmp_path):
    rows = "".join(
        f'<td><img src="c{i % 2}/{i}.jpg"></td><td><table><tr><td>text {i}</td></tr></table></td>' for i in range(20)
    )
    page = f'<img src="logo.png">{rows}'.encode()
    files = Files()
    files.content = {"/site/": page} | {f"/site/c{i % 2}/{i}.jpg": b"jpeg" * i for i in range(20)}
    files.kinds["/site/"] = "text/html"
    with serve(files) as address:
        one = entry([f"{address}/site/"], page, "pascal-sentences.html", linked_images="images")
        own = run(tmp_path, one)
    assert len(list((own / "images").iterdir())) == 20 and (own / "images/7.jpg").read_bytes() == b"jpeg" * 7
    dataset = datasets.load_dataset(f"pascal:{own}")
    assert sorted(sum(dataset.splits.values(), [])) == sorted(path.name for path in (own / "images").iterdir())


def test_killed_and_resumed(tmp_path):
    """After a kill half-way the same command downloads only the rest."""
    files = Files(a__bin=DATA)
    files.break_at["/a.bin"] = [1_200_000]
    with serve(files) as address:
        one = entry([f"{address}/a.bin"])
        (tmp_path / "MANIFEST.json").write_text(json.dumps({"sets": {}, "files": [one]}))
        command = [
            sys.executable,
            "-m",
            "scripts.download",
            "a",
            f"--to={tmp_path}/to",
            f"--manifest={tmp_path}/MANIFEST.json",
        ]
        process = subprocess.Popen([*command, "--backoff=30"], cwd=ROOT, stdout=subprocess.DEVNULL)
        part = tmp_path / "to/own/a.bin.part"
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == 1_200_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert part.stat().st_size == 1_200_000 and not (tmp_path / "to/own/a.bin").exists()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "to/own/a.bin").read_bytes() == DATA, done.stderr
    assert files.log == [("/a.bin", None), ("/a.bin", "bytes=1200000-")] and files.sent == len(DATA)


# --------------------------------------------------------------------------------------------------------------
# The manifest


def test_the_manifest(capsys, tmp_path):
    entries, sets = download.read_manifest(ROOT / "data/MANIFEST.json")
    for needed in (
        "inception_v4",
        "uic_released",
        "coco_train2014",
        "karpathy",
        "flickr8k_images",
        "pascal",
        "gcc_train",
    ):
        assert needed in entries
    for one in entries.values():
        assert one["if_gone"] and one["licence"] and not os.path.isabs(one["folder"])
        assert one["verified"] is False  # no file was downloaded to verify the list
        assert (one["checksum_source"] == "none known") == (not (one["bytes"] or one["md5"] or one["sha256"]))
        assert re.fullmatch("[0-9a-f]{64}", one["sha256"] or "0" * 64) and re.fullmatch(
            "[0-9a-f]{32}", one["md5"] or "0" * 32
        )
        assert all(url.startswith(("http://", "https://")) for url in one["urls"])
    download.main(download.Options(list=True, to=str(tmp_path), manifest=str(ROOT / "data/MANIFEST.json")))
    printed = capsys.readouterr().out
    assert (
        "coco_train2014: MS COCO, 82,783 training photographs of 2014 (13.51 GB; " in printed and "by hand" in printed
    )
    targets = [(one["folder"], one["file"]) for one in entries.values()]
    assert len(set(targets)) == len(targets)


def test_the_script_names_what_is_in_the_manifest():
    entries, sets = download.read_manifest(ROOT / "data/MANIFEST.json")
    path = ROOT / "scripts" / "download.sh"
    (listed,) = re.findall(r"^  (flickr30k [a-z0-9_| ]+)\)", path.read_text(), re.M)
    named = re.findall(r"names=\(([a-z0-9 ]+)\)", path.read_text())
    names = [*listed.split(" | "), *" ".join(named).split()]
    assert len(names) == 9 and all(download.chosen([name], entries, sets) for name in names)
    assert os.access(path, os.X_OK) and subprocess.run(["bash", "-n", path]).returncode == 0
    done = subprocess.run(["bash", path, "cocoa"], capture_output=True, text=True)
    assert done.returncode == 2 and "flickr30k" in done.stdout


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "JSONDecodeError"),
        ('{"files": [{"name": "a"}], "sets": {}}', "a lacks bytes, file, folder"),
        ('{"files": [], "sets": {"x": ["y"]}}', "files that are not there"),
    ],
)
def test_a_broken_manifest(tmp_path, content, message):
    (tmp_path / "M.json").write_text(content)
    with pytest.raises(cli.UserError, match=message):
        download.main(download.Options(list=True, manifest=str(tmp_path / "M.json")))


def test_wrong_names_and_settings(tmp_path):
    with pytest.raises(cli.UserError, match="'cocoa' is neither a file nor a set of the manifest. Sets: all"):
        run(tmp_path, entry([]), names=("cocoa",))
    with pytest.raises(cli.UserError, match="no names given"):
        run(tmp_path, entry([]), names=())
    with pytest.raises(cli.UserError, match="--attempts must be at least 1"):
        run(tmp_path, entry([]), attempts=0)
