"""robots.txt: what a site allows a crawler to fetch, and how fast (RFC 9309), read by the library protego."""

import dataclasses

import protego

MAX_BYTES = 500 << 10  # RFC 9309, 2.5: at least so much is read
MAX_RULES = 1_000_000  # user agents times lines: the library keeps every rule of a group once for each of its agents


@dataclasses.dataclass(frozen=True)
class Robots:
    """The rules for one crawler; without `rules` all is allowed."""

    rules: protego.Protego = dataclasses.field(default_factory=protego.Protego)
    agent: str = "*"

    def allows(self, url):
        """Whether the URL may be fetched: the longest pattern that fits decides, "allow" among equally long ones."""
        return self.rules.can_fetch(str(url), self.agent)

    @property
    def crawl_delay(self):
        """Seconds between two requests that the site asks for, 0 when it asks for none or for no finite number."""
        return self.rules.crawl_delay(self.agent) or 0.0


def parse(text, agent):
    """The rules of a robots.txt for a crawler.

    Args:
      text: content of the file.
      agent: product name of the crawler; the groups that name it count, else those of `*`.

    Raises: ValueError when reading it would take unreasonably long.
    """
    lines = text[:MAX_BYTES].splitlines()
    agents = sum(line.lstrip()[:4].lower() == "user" for line in lines)
    if agents * len(lines) > MAX_RULES:
        raise ValueError(
            f"{agents} user agents on {len(lines)} lines; at most {MAX_RULES:,} for their product is supported"
        )
    return Robots(protego.Protego.parse("\n".join(lines)), agent)
