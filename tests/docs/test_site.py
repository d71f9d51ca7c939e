"""The manual as a site: it builds without a warning, and a browser that opens its pages by file:// asks no host."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
if importlib.util.find_spec("mkdocs") is None:
    pytest.skip("mkdocs is not installed: pip install -r requirements-docs.txt", allow_module_level=True)
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)[^>]*>", re.IGNORECASE)
NOT_LOADED = re.compile(r"rel=[\"']?(?:canonical|prev|next)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built manual."""
    folder = str(tmp_path_factory.mktemp("manual") / "site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def files_of(site, ending):
    """(path, text) of the site's files of a kind."""
    for folder, _, names in os.walk(site):
        for name in names:
            if name.endswith(ending):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    yield path, file.read()


def test_pages_load_files_of_the_site_alone(site):
    pages = list(files_of(site, ".html"))
    assert len(pages) > 5
    for path, text in pages:
        loaded = [match[1] for match in LOADED.finditer(text) if not NOT_LOADED.search(match[0])]
        assert loaded, path
        for target in map(urllib.parse.unquote, loaded):
            assert not re.match(r"(?:\w+:)?//", target), f"{path} loads {target}"
            if not path.endswith("404.html"):  # a server shows that one, under any path
                name = target.partition("#")[0].partition("?")[0]
                assert os.path.exists(os.path.join(os.path.dirname(path), name)), f"{path}: {name} is missing"
    for path, text in files_of(site, ".css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import\s+[\"']https?:", text), path


def test_no_equation_is_left_as_latex(site):
    content = {os.path.basename(path): text for path, text in files_of(site, ".html")}
    assert not [name for name, text in content.items() if "arithmatex" in text or "<merror" in text]
    for name, text in content.items():
        commands = re.findall(r"<m(?:i|o|text)>[^<]*\\[^<]*</m", text)
        assert not commands, f"{name}: {commands[:5]}"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that keeps a log of what it asks for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: requirements-dev.txt")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def asked(browser):
    """Addresses that the browser asked for since the last call."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


def test_a_browser_opens_pages_by_file_and_asks_no_host(site, browser):
    from selenium.webdriver.common.by import By

    equations = 0
    for path, _ in files_of(site, ".html"):
        browser.get(f"file://{urllib.parse.quote(path)}")
        for equation in browser.find_elements(By.CSS_SELECTOR, "article math"):
            equations += 1
            assert equation.size["height"] >= 5 and equation.size["width"] >= 3, path
        schemes = {url.partition(":")[0] for url in asked(browser)}
        assert schemes <= {"file", "data", "blob", "about"}, (path, schemes)
    assert equations or not list(files_of(site, "method.html"))


def test_search_works_by_file(site, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"file://{site}/index.html?q=checkpoint")
    found = (By.CSS_SELECTOR, ".md-search-result__item a")
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(*found))
    assert {url.partition(":")[0] for url in asked(browser)} <= {"file", "data", "blob", "about"}
