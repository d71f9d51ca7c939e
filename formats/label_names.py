"""Class names by class number, with a placeholder for each number that has no class."""

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
    """List of class names, whose index is the class number.

    Attributes: numbered: whether the file states the numbers; else they count the lines of the file from 0.
    """

    def __init__(self, names=(), numbered=False):
        super().__init__(names)
        self.numbered = numbered

    def shifted(self):
        """Returns `Labels` in which every class number is larger by one; number 0 gets the placeholder."""
        return Labels([PLACEHOLDER, *self], self.numbered)


def is_placeholder(name):
    """Returns whether a name means "no class", as do `???`, `n/a`, `__background__`, `unused_12` or a dash."""
    words = re.sub(r"[\W_]+", " ", name.casefold()).strip()
    words = re.sub(r"(?:^| |(?<=[a-z]))\d+$", "", words).strip() if words else ""
    return not any(map(str.isalnum, name)) or words in NO_CLASS or _KIND.sub("", words) in NO_CLASS


def checked(name, place):
    """Returns a class name with single spaces, or PLACEHOLDER if the name means that there is no class.

    Args: name: text from a file. place: where it is in the file, such as "line 3", for the message of the error.
    Raises: ValueError if the text is not a class name.
    """
    name = " ".join(name.split())
    if is_placeholder(name):
        return PLACEHOLDER
    words = max(len(part.split()) for part in name.split(","))
    if words > MOST_WORDS or _ONLY_A_NUMBER.fullmatch(name) or not any(map(str.isalpha, name)):
        raise ValueError(f"{place} is {name[:80]!r}, which is not a class name")
    return name


def by_number(pairs):
    """Returns the `Labels` of numbered names; numbers without a name get the placeholder.

    Args: pairs: list of (number, name, place of the name in the file, such as "line 3").
    Raises: ValueError for a wrong number or name, or a number with two names.
    """
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
    """Returns the `Labels` of names that are numbered by their order, from 0.

    Args: names: list of (name, place of the name in the file, such as "line 3").
    Raises: ValueError for a text that is not a class name, or too many names.
    """
    if len(names) > LARGEST_ID:
        raise ValueError(f"more than {LARGEST_ID} names")
    return Labels([checked(name, place) for name, place in names])
