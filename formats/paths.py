"""Finds paths inside longer texts, KIND:PATH#PART or several joined by a mark; a path may contain these marks too.

The files on the disk decide: the longest text that names an existing file is its path.
"""

import os


def cut(text, mark, is_part):
    """Returns (path, part) of a text PATH, or of PATH, a mark and a part; part is "" without one.

    The longest existing path is taken. If none exists, the text is cut at the last mark if a part follows it.

    Args: is_part: function of a text that returns whether it looks like a part.
    """
    places = [place for place in range(len(text)) if text.startswith(mark, place)]
    for place in [len(text), *reversed(places)]:
        if os.path.exists(text[:place]):
            return text[:place], text[place + len(mark) :]
    path, _, part = text.rpartition(mark)
    return (path, part) if path and is_part(part) else (text, "")


def split(text, mark, is_there=os.path.exists, begins=lambda rest: True):
    """Returns the parts of a text that are joined by a mark, in order, without empty parts.

    Args:
      is_there: function of a part that returns whether its files exist; the longest such part is taken.
      begins: function of the text after a mark that returns whether a part begins there, even if it does not exist.
    """
    found, pieces = [], text.split(mark)

    def longest(pieces):
        return next((n for n in range(len(pieces), 0, -1) if is_there(mark.join(pieces[:n]))), 0)

    while pieces:
        count = longest(pieces) or 1
        while count < len(pieces) and not (begins(mark.join(pieces[count:])) or longest(pieces[count:])):
            count += 1
        found.append(mark.join(pieces[:count]))
        del pieces[:count]
    return [part for part in found if part]
