"""Texts: every encoding that names itself, every line end, packed files, and the place of what cannot be read."""

import bz2
import codecs
import gzip
import itertools
import lzma

import pytest

import cli
from formats import readers, texts

TEXT = "a dog\n\u72ac caf\u00e9\n\nlast"
ENCODINGS = {
    "utf-8": b"",
    "utf-8 with a mark": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
PACKERS = {"": lambda data: data, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end, packing", list(itertools.product(["\n", "\r\n", "\r"], PACKERS)))
def test_every_encoding_line_end_and_packing(tmp_path, encoding, end, packing):
    data = ENCODINGS[encoding] + TEXT.replace("\n", end).encode(encoding.partition(" ")[0])
    path = str(tmp_path / "a.txt")  # also without the ending of its packing
    (tmp_path / "a.txt").write_bytes(PACKERS[packing](data))
    assert texts.read(path) == TEXT
    assert list(texts.lines(path)) == [(1, "a dog"), (2, "\u72ac caf\u00e9"), (3, ""), (4, "last")]
    assert [number for number, _ in readers.text_lines(path)] == [1, 2, 4]
    texts.copy_as_utf8(path, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == f"{TEXT}\n".encode()
    assert texts.lies_as_utf8(path) == (not packing and encoding.startswith("utf-8"))
    assert texts.head_of(path, 3) == data[:3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-be", "utf-16", "utf-8-sig"])
def test_json_in_every_encoding(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"a": "caf\u00e9"}\r\n'.encode(encoding))
    assert readers.read_json(str(tmp_path / "a.json")) == {"a": "caf\u00e9"}


def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path):
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        (tmp_path / "a").write_bytes("a dog runs\ncaf\u00e9".encode(encoding))
        assert texts.read(str(tmp_path / "a")) == "a dog runs\ncaf\u00e9"


def test_a_declared_encoding_counts_where_there_is_no_mark(tmp_path):
    (tmp_path / "a").write_bytes("caf\u00e9".encode("latin-1"))
    assert texts.read(str(tmp_path / "a"), encoding="latin-1") == "caf\u00e9"
    (tmp_path / "a").write_bytes("\u72ac".encode("gb18030"))
    assert texts.read(str(tmp_path / "a"), encoding="gb18030") == "\u72ac"
    (tmp_path / "a").write_bytes(codecs.BOM_UTF8 + "caf\u00e9".encode())
    assert texts.read(str(tmp_path / "a"), encoding="latin-1") == "caf\u00e9"
    with pytest.raises(cli.UserError, match="there is no encoding 'latin-99'; expected"):
        texts.read(str(tmp_path / "a"), encoding="latin-99")
    with pytest.raises(cli.UserError, match="there is no encoding 'base64'"):
        texts.check_encoding("base64")


def test_marks_between_files_that_were_put_together(tmp_path):
    (tmp_path / "a").write_text("\ufeffone\n\ufefftwo\n", encoding="utf-8")
    assert texts.read(str(tmp_path / "a")) == "one\ntwo\n"
    assert list(texts.lines(str(tmp_path / "a"))) == [(1, "one"), (2, "two")]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"one\ntwo\r\ncaf\xe9\n", "not UTF-8 text: byte 0xe9 at position 12, line 3; convert it, e.g. iconv"),
        (b"one\rcaf\xe9", "byte 0xe9 at position 7, line 2"),
        (b"cut \xe7\x8a", "byte 0xe7 at position 4, line 1"),
        (codecs.BOM_UTF16_LE + b"a\0b", "not UTF-8 text, nor UTF-16-LE: "),
        (b"one\ntw\0o\n", "line 2 has a zero byte, so it is not a text"),
        (gzip.compress(b"one\ntwo", mtime=0)[:-9], "a damaged packed file"),
        (b"\x1f\x8b nothing", "a damaged packed file"),
        (b"\xfd7zXZ\0 nothing", "a damaged packed file"),
    ],
)
def test_what_is_no_text_is_named_with_its_place(tmp_path, data, message):
    (tmp_path / "a.txt").write_bytes(data)
    for read in (texts.read, lambda path: list(texts.lines(path))):
        with pytest.raises(cli.UserError) as error:
            read(str(tmp_path / "a.txt"))
        assert str(error.value).startswith(str(tmp_path / "a.txt")) and message in str(error.value)


def test_a_bad_byte_far_behind_is_counted_from_the_beginning(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"0123456\n" * 100_000 + b"\xe9")
    with pytest.raises(cli.UserError, match="byte 0xe9 at position 800000, line 100001"):
        list(texts.lines(str(tmp_path / "a.txt")))


def test_a_packed_file_that_claims_too_much_is_refused(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(10_000)))
    with pytest.raises(cli.UserError, match="more than 5000 bytes"):
        texts.read_bytes(str(tmp_path / "a.gz"), limit=5000)


def test_names_of_packed_files():
    assert [texts.unpacked_name(name) for name in ("a.txt.gz", "a.JSON.GZ", "a.txt", "gz")] == [
        "a.txt",
        "a.JSON",
        "a.txt",
        "gz",
    ]


def test_reading_takes_no_more_memory_than_the_file(tmp_path):
    """Reading "at most 4 GiB" makes room for all of them in some classes of files."""
    import resource

    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one\n", mtime=0))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 29), limits[1]))
    try:
        assert [texts.read(str(tmp_path / name)) for name in ("a.txt", "a.gz")] == ["one\n"] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
