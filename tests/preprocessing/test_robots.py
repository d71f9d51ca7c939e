"""robots.txt: the examples of RFC 9309 and what sites write besides."""

import pytest

from preprocessing import robots

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
