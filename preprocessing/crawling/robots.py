"""Parses robots.txt (RFC 9309) with the library protego: which URLs a crawler may fetch, and how fast."""

import dataclasses

import protego

MAX_BYTES = 500 << 10  # RFC 9309, 2.5: the minimum size that must be read
MAX_RULES = 1_000_000  # user agents times lines: the library stores every rule of a group for each of its agents


@dataclasses.dataclass(frozen=True)
class Robots:
    """The rules of a site for one crawler; `Robots()` allows all URLs.

    Attributes: rules: protego's parsed robots.txt. agent: product name of the crawler.
    """

    rules: protego.Protego = dataclasses.field(default_factory=protego.Protego)
    agent: str = "*"

    def allows(self, url):
        """Returns whether a URL may be fetched. The longest matching pattern decides; of equally long ones "allow"."""
        return self.rules.can_fetch(str(url), self.agent)

    @property
    def crawl_delay(self):
        """Returns the seconds (float) between two requests that the site asks for; 0 if it asks for none."""
        return self.rules.crawl_delay(self.agent) or 0.0


def parse(text, agent):
    """Returns the rules of a robots.txt for a crawler, as `Robots`.

    Args:
      text: content of the file.
      agent: product name of the crawler; the rules for this name are used, else those for `*`.

    Raises: ValueError when parsing would take too long.
    """
    lines = text[:MAX_BYTES].splitlines()
    agents = sum(line.lstrip()[:4].lower() == "user" for line in lines)
    if agents * len(lines) > MAX_RULES:
        raise ValueError(
            f"{agents} user agents on {len(lines)} lines; at most {MAX_RULES:,} for their product is supported"
        )
    return Robots(protego.Protego.parse("\n".join(lines)), agent)
