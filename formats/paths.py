"""Paths inside longer texts, KIND:PATH#PART or several joined by a mark: a path may hold these marks as well.

What is there decides: the longest text that names a file is taken for its path.
"""

import os


def cut(text, mark, is_part):
    """(path, part) of a text PATH, or PATH and a part behind a mark.

    The longest path that is there counts. Where none is, the last mark counts if a part stands behind it.

    Args: is_part: function of a text that says whether it looks like a part.
    """
    places = [place for place in range(len(text)) if text.startswith(mark, place)]
    for place in [len(text), *reversed(places)]:
        if os.path.exists(text[:place]):
            return text[:place], text[place + len(mark) :]
    path, _, part = text.rpartition(mark)
    return (path, part) if path and is_part(part) else (text, "")


def split(text, mark, is_there=os.path.exists, begins=lambda rest: True):
    """The parts of a text that are joined by a mark, in order; empty ones are left out.

    Args:
      is_there: function of a part that says whether the files that it names are there; the longest such part counts.
      begins: function of the text behind a mark that says whether a part begins there that may not be there.
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
