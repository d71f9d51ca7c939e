"""The Penn Treebank tokenizer of the COCO evaluation without Java: NLTK's Treebank tokenizer and additional rules.

The rules make NLTK's tokens equal to those of the jar that pycocoevalcap calls (tokenizers.py), as far as captions need
it. A caption is changed in four steps:

1. Pieces that are one token are set aside: smileys, runs of ! and ?, tags, addresses, #words.
2. HTML entities and signs are spelled as the jar spells them; what the jar never outputs (quotation marks, dashes,
   several full stops in a row) becomes a space.
3. A full stop after a word becomes a space unless it belongs to the word: abbreviations, and initials such as U.S.
4. NLTK splits the rest; brackets are written -lrb-, punctuation is left out.
"""

import functools
import html
import re
import unicodedata

from formats.captions import sanitise

# Tokens that the COCO evaluation leaves out. Brackets are not among them in lower case, so the jar's stay as well.
LEFT_OUT = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

# Words that keep their stop: titles, streets, firms, months, days, states, others.
ABBREVIATIONS = frozenset(
    """mr mrs ms messrs mlle mme msgr dr drs prof profs rev hon jr sr esq gov govs pres rep reps sen sens atty attys
    asst supt supts lt lieut col gen maj capt cpl sgt pvt pfc spc brig adm cmdr comdr ens det
    st ste ave blvd rd ct mt ft sq bldg univ dept
    inc co cos corp ltd plc bros assn assoc bancorp natl intl ext tel
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri
    ala ariz calif colo conn dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn tenn va vt wis wisc wyo
    al alex cf cie est etc jos seq treas vs wm""".split()
)
CAPITAL_ABBREVIATIONS = frozenset("Ark Del Ill La Mass Miss Ore Pa Tex Wash".split())  # others in lower case are words
BEFORE_NUMBERS = frozenset("art ca fig figs no nos pp".split())
ACRONYM = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|[Pp][Hh]\.[Dd]")

WHOLE = re.compile(
    r"""(
    </?[A-Za-z][^<>\s]*>                              # tags, <unk>
  | (?:https?://|www\.)\S+[\w/]                       # addresses
  | [\w.+-]+@[\w-]+\.[\w.-]*\w                        # e-mail
  | (?<!\S)[\#@][A-Za-z]\w*                           # names and topics
  | (?<!\w)[<>]?[:;=][-o*']?[()\[\]DPp/\\|](?!\w)     # smileys
  | [?!]{2,}                                          # runs, which stay in the output
  | (?<!\S)'(?:em|til|cause|n)\b'?                    # 'em, 'n'
  | \b[A-Z]+&[A-Z]                                    # R&B
    )""",
    re.VERBOSE,
)
SPELLINGS = {"£": "#", "€": "$", "¢": " cents ", "½": " 1/2 ", "¼": " 1/4 ", "¾": " 3/4 ", "’": "'", "‘": "'"}
SPELLINGS |= dict.fromkeys('"“”„«»`´–—―…', " ")
SPELLED = re.compile("|".join(map(re.escape, SPELLINGS)))
RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\.{2,}|--+|''+", " "),
        (r"(?<=\w)-(?!\w)|(?<![\w-])-(?=[^\W\d])", " "),  # a hyphen at the edge of a word
        (r"(?<!\S)\.(?=[^\W\d])", " "),  # a stop before a word
        (r"(?<=\w)/(?!\S)|(?<!\S)/(?=\w)|[=~|*<>\\]", r" \g<0> "),
        (r"(?i)(?<!\S)'(?!\d\ds?\b|(?:s|m|d|ll|re|ve|tis|twas|t)\b)", " "),  # an opening quotation mark
        (r"(?<=\d)'(?=\d)", " "),  # feet and inches
        (r"(?<=\d:\d\d)(?=[AaPp][Mm]\b)", " "),
        (r"(?<!\S)('s)-(?=\w)", r"\1 "),  # a bird 's-eye view
    )
)
STOP = re.compile(r"(\S*?)\.(?=[)\]}'?!,;:]*(?:\s|$))")
NUMBER = re.compile(r"\s*\d")


@functools.lru_cache
def _treebank():
    """Returns NLTK's tokenizer, constructed at the first call."""
    from nltk.tokenize.treebank import TreebankWordTokenizer  # half a second

    return TreebankWordTokenizer()


def tokenize(texts):
    """Returns the tokens of each caption, joined by spaces: list of str. Args: texts: iterable of captions."""
    return [tokens_of(text) for text in texts]


def tokens_of(text):
    """Returns the tokens of one caption, joined by spaces: str, in lower case, without punctuation."""
    text = sanitise(text).replace("\0", " ")
    text = html.unescape(text) if "&" in text else text
    result = []
    for number, piece in enumerate(WHOLE.split(text)):
        if number % 2:
            result.append(piece.lower())
        elif piece and not piece.isspace():
            result += _treebank().tokenize(_prepared(piece).lower())
    spelled = (_bracketed(token) for token in result if token not in LEFT_OUT)
    return " ".join(spelled)


def _prepared(text):
    """Returns a text from which NLTK makes the jar's tokens: applies steps 2 and 3 (see the top of this file)."""
    text = SPELLED.sub(lambda found: SPELLINGS[found[0]], text)
    if not text.isascii():
        text = "".join(" " if _is_dropped(letter) else letter for letter in text)
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return STOP.sub(lambda found: _with_stop(found, text), text)


def _is_dropped(letter):
    """Returns whether the jar deletes a character: emojis, control characters and characters for private use."""
    kind = unicodedata.category(letter)
    return kind in ("Cc", "Co") or kind == "So" and ord(letter) > 0xFFFF


def _with_stop(found, text):
    """Returns a word with its full stop if it belongs to the word, else the word and a space.

    Args: found: match of STOP in `text`.
    """
    word, after = found[1].lstrip("([{'"), text[found.end() :]
    ends = not after.strip(" .")
    if len(word) == 1 and word.isalpha():
        keeps = not ends  # as an initial; at the end the stop is the sentence's
    else:
        keeps = word.lower() in ABBREVIATIONS or word in CAPITAL_ABBREVIATIONS or ACRONYM.fullmatch(word)
        keeps = keeps or word.lower() in BEFORE_NUMBERS and NUMBER.match(after)
    # NLTK takes a stop at the end of the text for the sentence's; a second one is that.
    return f"{found[1]}." + (" ." if ends else " ") if keeps else f"{found[1]} "


def _bracketed(token):
    """Returns a token with its brackets written as in the Penn Treebank, e.g. "-lrb-" for "("."""
    for bracket, name in BRACKETS.items():
        token = token.replace(bracket, name)
    return token
