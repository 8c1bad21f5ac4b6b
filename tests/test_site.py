"""The site is built strictly, stands by itself, and has a place for every public name."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

import numsym
from numsym.studies import STUDIES

ROOT = Path(__file__).parents[1]
ROOMS = ("studies", "alignment", "models", "programs", "tasks", "interventions", "training", "probes", "circuits")


class Page(HTMLParser):
    """The anchors of a page, where it leads, and what it needs to be shown."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.needed = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.needed.append(found["href"])
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.needed.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_arrives(site, pages):
    lost = []
    for path, page in pages.items():
        for link in [*page.links, *page.needed]:
            parts = urlparse(link)
            if parts.scheme or parts.netloc or link == ".":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.exists() or path.name == "404.html"  # its links begin at the server's root
            if not there or (target in pages and parts.fragment and parts.fragment not in pages[target].anchors):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert lost == []
    assert len(pages) > 15


def test_nothing_is_taken_from_the_network(site, pages):
    assert [link for page in pages.values() for link in page.needed if urlparse(link).netloc] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_search_works_from_a_folder(site):
    # A page that is opened as a file may not fetch another, so the offline plugin makes a script of the index.
    assert "interchange_pairs" in (site / "search" / "search_index.js").read_text(encoding="utf-8")


def test_search_finds_a_page_in_a_browser_without_a_network(site):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = running.new_page()
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / "index.html").as_uri())
        page.locator("input.md-search__input").fill("divergence")
        page.locator("a.md-search-result__link").first.wait_for(state="attached", timeout=60_000)
        links = [link.get_attribute("href") for link in page.locator("a.md-search-result__link").all()]
        running.close()
    assert any("analyses.html" in link for link in links)
    assert [url for url in asked if url.startswith("http")] == errors == []


@pytest.mark.parametrize("room", ["numsym", *ROOMS])
def test_the_reference_has_every_public_name(pages, site, room):
    module = numsym if room == "numsym" else getattr(numsym, room)
    text = (site / "reference" / f"{room}.html").read_text(encoding="utf-8")
    page = pages[site / "reference" / f"{room}.html"]
    for name in module.__all__:
        value = getattr(module, name)
        if name in STUDIES and not value.__module__.startswith("numsym."):
            continue  # a plugin's
        described = any(anchor.endswith(f".{name}") for anchor in page.anchors)
        assert described or f"<code>{name}</code>" in text, name
