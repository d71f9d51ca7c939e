"""robots.txt: the examples of RFC 9309 and what sites write besides."""

import pytest

from preprocessing.crawling import fetching, robots
from tests.time_limit import time_limit

TEXT = """
# comment
User-agent: other
Disallow: /

User-Agent: *
User-agent: somebody
Crawl-delay: 2.5
Allow: /example/page/
Disallow: /example/page/disallowed.gif   # with a comment
Disallow: /search*&page=
Disallow: /*.pdf$
Disallow: /a b/
Disallow:
Sitemap: https://host/sitemap.xml
"""


@pytest.mark.parametrize(
    "path, allowed",
    [
        ("/", True),
        ("/example/page/", True),
        ("/example/page/disallowed.gif", False),
        ("/search?q=dog", True),
        ("/search?q=dog&page=2", False),
        ("/search/x&page=2", False),
        ("/file.pdf", False),
        ("/file.pdf?x=1", True),
        ("/a%20b/c", False),
    ],
)
def test_rules(path, allowed):
    assert robots.parse(TEXT, "us").allows(f"https://host{path}") is allowed


def test_groups():
    assert robots.parse(TEXT, "us").crawl_delay == 2.5
    assert not robots.parse(TEXT, "Other").allows("https://host/x")
    assert robots.parse("User-agent: other\nDisallow: /\n", "us").allows("https://host/x")
    assert robots.parse("<html>not found</html>", "us").allows("https://host/x")


def test_the_longest_pattern_decides():
    rules = robots.parse("User-agent: *\nDisallow: /a\nAllow: /a/b\nAllow: /x\nDisallow: /x\n", "us")
    assert not rules.allows("http://h/a/c") and rules.allows("http://h/a/b/c") and rules.allows("http://h/x")


def test_groups_of_the_same_name_add_up():
    rules = robots.parse("User-agent: us\nDisallow: /a\n\nUser-agent: us\nDisallow: /b\nCrawl-delay: x\n", "us")
    assert not rules.allows("http://h/a") and not rules.allows("http://h/b") and rules.crawl_delay == 0


def test_patterns_of_many_stars():
    rules = robots.parse("User-agent: *\nDisallow: /" + "*a" * 30 + "*b\n", "us")
    with time_limit(5):
        assert rules.allows("http://h/" + "a" * 1000)
        assert not rules.allows("http://h/" + "a" * 1000 + "b")


def test_a_byte_order_mark_hides_no_rule():
    body = "\ufeffUser-agent: *\nDisallow: /\n".encode()
    assert not fetching.parse_robots(body).allows("http://h/a")


def test_more_groups_than_can_be_read_in_time():
    with time_limit(5), pytest.raises(ValueError, match="30000 user agents on 30000 lines"):
        robots.parse("User-agent: a\n" * 30_000, "us")
