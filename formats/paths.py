"""Splits texts such as KIND:PATH#PART, or several names joined by a separator; a path may contain separators too.

Among the possible ways to split, the one with the longest text that is the path of an existing file is taken.
"""

import os


def cut(text, mark, is_part):
    """Splits a text PATH, or PATH with a separator and a part, into (path, part); part is "" if the text has none.

    The longest existing path is taken. If none exists, the text is split at the last separator, provided that a part
    follows it.

    Args:
      mark: the separator, such as "#".
      is_part: function of a text that returns whether it has the form of a part.
    """
    places = [place for place in range(len(text)) if text.startswith(mark, place)]
    for place in [len(text), *reversed(places)]:
        if os.path.exists(text[:place]):
            return text[:place], text[place + len(mark) :]
    path, _, part = text.rpartition(mark)
    return (path, part) if path and is_part(part) else (text, "")


def split(text, mark, is_there=os.path.exists, begins=lambda rest: True):
    """Splits a text at the occurrences of a separator that are not inside a path; returns a list without empty parts.

    Args:
      mark: the separator, such as "+".
      is_there: function of a part that returns whether its files exist; the longest part for which they do is taken.
      begins: function of the text after a separator that returns whether a part begins there, even if its files do not
        exist.
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
