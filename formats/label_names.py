"""Class names, placeholders for numbers without a class, and lists of names by number."""

import re

PLACEHOLDER = "???"  # the name of a number without a class
LARGEST_ID = 100_000  # a file with larger numbers is not a file of class names
MOST_WORDS = 12  # words of one name; a longer text is a sentence

# Spellings of "no class" without case and punctuation, and without numbers after them (unused_12).
NO_CLASS = frozenset(
    (
        "background|back ground|bg|unlabeled|unlabelled|unlabeled area|unused|not used|n a|na|nan|none|null|nil|unk"
        "|void|unknown|undefined|unnamed|unassigned|unspecified|dummy|empty|blank|nothing|missing|reserved|placeholder"
        "|place holder|ignore|ignored|ignore region|no class|no label|no name|no object|not available|not applicable"
        "|deleted|removed|invalid|not found|page not found|forbidden|noclass|nolabel|notused|tbd"
    ).split("|")
)
_ONLY_A_NUMBER = re.compile(r"/[mg]/[0-9]\w+|/t/dd\w*|n\d{8}")  # ids of OpenImages and ImageNet, used instead of a name


_KIND = re.compile(r"^(?:class|label|category) | (?:class|label|category|object)$")  # unused class


class Labels(list):
    """Class names by number.

    Attributes: numbered: whether the file gives the numbers; else they are the order of its lines.
    """

    def __init__(self, names=(), numbered=False):
        super().__init__(names)
        self.numbered = numbered

    def shifted(self):
        """Returns the same names with numbers larger by one."""
        return Labels([PLACEHOLDER, *self], self.numbered)


def is_placeholder(name):
    """Returns whether a name means that there is no class: `???`, `n/a`, `__background__`, `unused_12`, a dash, …"""
    words = re.sub(r"[\W_]+", " ", name.casefold()).strip()
    words = re.sub(r"(?:^| |(?<=[a-z]))\d+$", "", words).strip() if words else ""
    return not any(map(str.isalnum, name)) or words in NO_CLASS or _KIND.sub("", words) in NO_CLASS


def checked(name, place):
    """Returns a class name, or the placeholder if the name means that there is no class.

    Args: name: text of the file. place: its place there, for messages.
    Raises: ValueError if it is not a class name.
    """
    name = " ".join(name.split())
    if is_placeholder(name):
        return PLACEHOLDER
    words = max(len(part.split()) for part in name.split(","))
    if words > MOST_WORDS or _ONLY_A_NUMBER.fullmatch(name) or not any(map(str.isalpha, name)):
        raise ValueError(f"{place} is {name[:80]!r}, which is not a class name")
    return name


def by_number(pairs):
    """Returns the `Labels` of a list of (number, name, place). Raises: ValueError."""
    found = {}
    for number, name, place in pairs:
        name = checked(name, place)
        if name == PLACEHOLDER and number < 0:
            continue
        if not 0 <= number <= LARGEST_ID:
            raise ValueError(f"{place} has the number {number}, expected 0 to {LARGEST_ID}")
        if found.setdefault(number, name) != name:
            raise ValueError(f"class {number} occurs twice, {found[number]!r} and {name!r} ({place})")
    names = (found.get(number, PLACEHOLDER) for number in range(max(found, default=-1) + 1))
    return Labels(names, numbered=True)


def by_order(names):
    """Returns the `Labels` of a list of (name, place), numbered in order. Raises: ValueError."""
    if len(names) > LARGEST_ID:
        raise ValueError(f"more than {LARGEST_ID} names")
    return Labels([checked(name, place) for name, place in names])
