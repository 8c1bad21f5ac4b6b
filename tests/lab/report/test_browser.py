"""The page in a real Chromium: every chart is drawn, nothing complains, pointer and keyboard find the numbers."""

import json
import shutil

import pytest

from numsym.lab.report.several import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Open a file, and wait until its charts are drawn; what it complained of, and what it asked the network for."""
    pages = []

    def go(path, width=1600, scheme="light", **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        said = []
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        pages.append(page)
        return page, said

    yield go
    for page in pages:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_every_chart_is_drawn_and_nothing_complains(opened, finished, width, scheme):
    page, said = opened(finished / "report.html", width, scheme)
    assert said == []
    charts = page.locator(".chart")
    assert charts.count() >= 5
    for i in range(charts.count()):
        chart = charts.nth(i)
        assert chart.locator('[role="graphics-symbol"] path, path[role="graphics-symbol"]').count() > 0
        box = chart.locator("svg").bounding_box()
        assert 250 < box["width"] <= width
        assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(opened, finished, scheme):
    page, _ = opened(finished / "report.html", scheme=scheme)
    ratio = """(selector) => {
      const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ink = light(getComputedStyle(document.querySelector(selector)).color);
      const paper = light(getComputedStyle(document.body).backgroundColor);
      return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); }"""
    for selector in ("h1", "td", "caption", ".notes", "summary", ".verdict b", ".chart"):
        assert page.evaluate(ratio, selector) >= 4.5, selector  # WCAG 2, level AA
    ink = page.evaluate("getComputedStyle(document.querySelector('.chart svg text')).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")


def numbers(page, chart):
    """The rows of a chart, as its specification holds them."""
    specs = json.loads(page.locator("#charts").text_content())
    return specs[chart.get_attribute("data-chart")]["data"]["values"]


def test_the_number_under_the_pointer_is_shown(opened, finished):
    page, _ = opened(finished / "report.html")
    chart = page.locator(".chart").first
    mark = chart.locator('path[role="graphics-symbol"][aria-roledescription="point"]').first
    mark.hover()
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    keys, values = (tip.locator(f"td.{kind}").all_inner_texts() for kind in ("key", "value"))
    shown = dict(zip([key.strip(": ") for key in keys], values, strict=True))
    wanted = [row for row in numbers(page, chart) if row["measure"] == shown["measure"]]
    assert float(shown["percent"]) in [row["percent"] for row in wanted]


def test_the_keyboard_walks_through_the_marks_and_says_their_numbers(opened, finished):
    page, _ = opened(finished / "report.html")
    chart = page.locator(".chart").first
    chart.focus()
    said = chart.locator("xpath=../*[@aria-live]")
    heard = set()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        heard.add(said.text_content())
        page.locator("#vg-tooltip-element.visible").wait_for()
    assert len(heard) == 4
    assert all("percent" in one for one in heard)
    page.keyboard.press("Escape")
    assert said.text_content() == ""


def test_trials_are_chosen_from_a_list(opened, finished):
    page, _ = opened(finished / "report.html")
    choice = page.locator(".choice").first
    shown = page.locator(".trials").first.locator(".trial:visible")
    assert shown.count() == 1
    before = shown.inner_text()
    choice.focus()
    page.keyboard.press("ArrowDown")
    assert shown.count() == 1
    assert shown.inner_text() != before
    assert page.locator("label[for=t0-choice]").is_visible()


def test_without_a_pointer_the_numbers_are_a_table(opened, finished):
    page, _ = opened(finished / "report.html")
    chart, summary = page.locator(".chart").first, page.locator("figure summary").first
    summary.focus()
    page.keyboard.press("Enter")
    rows = page.locator("figure details").first.locator("tbody tr")
    assert rows.first.is_visible()
    assert rows.count() == len(numbers(page, chart))
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    unnamed = "[...document.querySelectorAll('[tabindex], img')].filter((e) => !e.ariaLabel && !e.alt).length"
    assert page.evaluate(unnamed) == 0


def test_it_prints(opened, finished):
    page, _ = opened(finished / "report.html", scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_several_runs_are_drawn_side_by_side(opened, finished, failed, tmp_path):
    path = write([finished, failed], out=tmp_path / "all.html")
    page, said = opened(path, 400)
    assert said == []
    assert page.locator(".chart svg").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
