"""Texts in any language: folding, cleaning, characters, and captions without blanks where a script has none."""

import pytest

import cli
from formats.languages import tokenizers, unicode_text
from preprocessing.sources import text_rules


def test_fold_is_composed_and_without_case():
    assert unicode_text.fold("Straße") == "strasse"
    assert unicode_text.fold("Cafe\u0301") == unicode_text.fold("CAFÉ") == "caf\u00e9"
    assert unicode_text.fold("ΣΊΣΥΦΟΣ") == unicode_text.fold("σίσυφος")
    assert unicode_text.fold("A Dog") == "a dog"


@pytest.mark.parametrize(
    "text, expected, lost",
    [
        ("Ein Hund läuft.", "Ein Hund läuft.", 0),
        ("u\u0308ber", "\u00fcber", 0),
        ("a\u200bb \u200fكلب\u200e so\u00adft \ufeffc", "a b كلب soft c", 0),
        ("می\u200cرود", "می\u200cرود", 0),  # a joiner is part of a Persian word
        ("a\x00b\x07c\td", "a b c\td", 0),
        ("one\u2028two\x85three\r\nfour", "one\ntwo\nthree\nfour", 0),
        ("狗\ud83d", "狗", 1),
    ],
)
def test_to_unicode(text, expected, lost):
    assert unicode_text.to_unicode(text) == (expected, lost)


@pytest.mark.parametrize(
    "text, tokens, shown",
    [
        ("一只狗在 iPhone 旁边。", "一 只 狗 在 iPhone 旁 边 。", "一只狗在iPhone旁边。"),
        ("犬がいる、テント", "犬 が い る 、 テ ン ト", "犬がいる、テント"),
        ("หมาอยู่ที่นี่", "ห ม า อ ยู่ ที่ นี่", "หมาอยู่ที่นี่"),
        ("كلبٌ يركض، في البيت؟", "كلبٌ يركض ، في البيت ؟", "كلبٌ يركض ، في البيت ؟"),
        ("हिन्दी में", "हिन्दी में", "हिन्दी में"),
        ("l'homme bien-aimé, 2 ans.", "l'homme bien-aimé , 2 ans .", "l'homme bien-aimé , 2 ans ."),
        ("개가 있다", "개가 있다", "개가 있다"),
    ],
)
def test_characters_and_back(text, tokens, shown):
    tokens = tokens.split()
    assert unicode_text.characters(text) == tokens
    assert unicode_text.join(tokens) == shown
    assert unicode_text.split(shown) == tokens


def test_english_is_joined_and_split_at_blanks():
    words = ["a", "dog", ",", "the", "man", "'s", "."]
    assert unicode_text.join(words) == "a dog , the man 's ." and unicode_text.split("a dog's, b") == [
        "a",
        "dog's,",
        "b",
    ]


def test_merger_takes_the_longest_word():
    merge = unicode_text.merger(["自行车", "车", "自行", "dog", "T恤"])
    assert merge(list("有自行车和车")) == ["有", "自行车", "和", "车"]
    assert merge(list("自行自行车自")) == ["自行", "自行车", "自"]
    assert merge(["自行车", "T", "恤"]) == ["自行车", "T恤"]
    tokens = ["a", "dog"]
    assert unicode_text.merger(["dog", "läufer"])(tokens) is tokens


# --------------------------------------------------------------------------------------------------------------
# The flags --text and --tokenizer


def test_tokenizers_by_name():
    assert tokenizers.tokenizer("nltk", "unicode")("Die Straße ist nass.") == ["die", "strasse", "ist", "nass", "."]
    assert tokenizers.tokenizer("whitespace", "unicode")("Der  Hund, ") == ["der", "hund,"]
    assert tokenizers.tokenizer("characters", "unicode")("两只狗。") == list("两只狗。")
    with pytest.raises(cli.UserError, match="no tokenizer 'words'; there are: nltk_word, .*, characters, FILE.py"):
        tokenizers.tokenizer("words")


def test_lines_and_settings_of_a_rule():
    assert text_rules.lines_of("über\u2028狗", "unicode") == (["über".encode(), "狗".encode()], 0)
    assert text_rules.settings_of("ascii", "nltk") == {"tokenizer": "nltk_word"}
    settings = text_rules.settings_of("unicode", "characters")
    assert settings == {"tokenizer": "characters", "text": "unicode"}
    assert text_rules.tokens_of(settings)("狗 Straße") == ["狗", "strasse"]
    assert text_rules.tokens_of({})("Ein Café.") == ["ein", "cafe", "."]
    with pytest.raises(cli.UserError, match="tokenised by own.py, a program, which is not run"):
        text_rules.tokens_of({"tokenizer": "own.py"})


def test_tokenizer_of_your_own(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def tokenize(text):\n    return text.split('|')\n")
    split = tokenizers.tokenizer(str(own), "unicode")
    assert split("ein|Hund") == ["ein", "hund"]
    with pytest.raises(cli.UserError, match="expected a list of tokens, texts without blanks"):
        split("ein hund|x")
    other = tmp_path / "other.py"
    other.write_text("def tokenize(text):\n    raise KeyError('no model')\n")
    with pytest.raises(cli.UserError, match=r"other\.py: KeyError: 'no model' for 'ein'"):
        tokenizers.tokenizer(str(other))("Ein")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(cli.UserError, match="--tokenizer .*empty.py does not define tokenize"):
        tokenizers.tokenizer(str(tmp_path / "empty.py"))
