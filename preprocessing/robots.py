"""robots.txt: what a site allows a crawler to fetch, and how fast (RFC 9309).

The standard library's parser knows no wildcards, and the rules of search pages are written with them.
"""

import dataclasses
import re
import urllib.parse

MAX_BYTES = 500 << 10  # RFC 9309, 2.5: at least so much is read


@dataclasses.dataclass(frozen=True)
class Robots:
    """The rules for one crawler.

    Attributes:
      rules: tuple of (path pattern, whether it is allowed).
      crawl_delay: seconds between two requests that the site asks for, 0 when it asks for none.
    """

    rules: tuple = ()
    crawl_delay: float = 0.0

    def allows(self, url):
        """Whether the URL may be fetched: the longest pattern that fits decides, "allow" among equally long ones."""
        parts = urllib.parse.urlsplit(str(url))
        path = _normal((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        fitting = [(len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)]
        return max(fitting)[1] if fitting else True


def _normal(path):
    """A path whose percent-encoding does not depend on who wrote it."""
    return urllib.parse.quote(urllib.parse.unquote(path), safe="/?&=+*$,;:@!'()~-._%")


def _fits(pattern, path):
    end = "$" if pattern.endswith("$") else ""
    parts = (re.escape(part) for part in pattern.removesuffix("$").split("*"))
    return re.match(".*".join(parts) + end, path, re.DOTALL) is not None


def parse(text, agent):
    """The rules of a robots.txt for a crawler.

    Args:
      text: content of the file.
      agent: product name of the crawler; the groups that name it count, else those of `*`.
    """
    groups, names, open_group = {}, [], False
    for line in text[:MAX_BYTES].splitlines():
        key, colon, value = line.split("#", 1)[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            names = [*names, value.lower()] if open_group else [value.lower()]
            open_group = True
            groups.setdefault(value.lower(), ([], []))
        elif key in ("allow", "disallow", "crawl-delay"):
            open_group = False
            for name in names:
                if key == "crawl-delay":
                    groups[name][1].append(value)
                elif value:
                    groups[name][0].append((_normal(value), key == "allow"))
    rules, delays = groups.get(agent.lower()) or groups.get("*") or ([], [])
    return Robots(tuple(rules), max((_seconds(delay) for delay in delays), default=0.0))


def _seconds(text):
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
