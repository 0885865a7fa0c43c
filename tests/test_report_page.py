"""The report in a real browser: nothing is fetched, nothing runs that is not ours, everything is drawn."""

import os
import shutil
from pathlib import Path

import pytest
from report_data import HOSTILE, make_report

from elman.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")

CHROMIUM = next(
    (
        path
        for path in ("/usr/bin/chromium", shutil.which("chromium"), shutil.which("google-chrome"))
        if path and Path(path).exists()
    ),
    None,
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
    ),
]

LEGIBLE = 4.5  # WCAG 2.1, 1.4.3, level AA: contrast of body text


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened, with what it asked for and what it complained of."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(Path(path).as_uri())
        self.page.wait_for_function("document.querySelectorAll('.chart .main-svg').length > 0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, make_report())
    return path


@pytest.mark.parametrize(
    ("scheme", "width", "height"),
    [("light", 1280, 800), ("dark", 1280, 800), ("light", 390, 844), ("dark", 320, 568)],
)
def test_it_fetches_nothing_complains_of_nothing_and_fits(browser, report, scheme, width, height):
    with Visit(browser, report, viewport={"width": width, "height": height}, color_scheme=scheme) as visit:
        assert visit.requests == [report.as_uri()]
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        charts = visit.page.locator(".chart")
        assert charts.count() == 4
        for place in range(charts.count()):
            assert charts.nth(place).locator(".main-svg").count() > 0


GAPS = """[...document.querySelectorAll('.chart')].map(
    place => Math.abs(place.clientWidth - place.querySelector('.main-svg').clientWidth))"""


@pytest.mark.parametrize("width", [1280, 390])
def test_charts_keep_to_their_places_as_soon_as_the_page_changes_its_width(browser, report, width):
    painted = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    with Visit(browser, report, viewport={"width": 760, "height": 800}) as visit:
        assert max(visit.page.evaluate(GAPS)) <= 1
        visit.page.set_viewport_size({"width": width, "height": 800})
        visit.page.evaluate(painted)
        assert max(visit.page.evaluate(GAPS)) <= 1


def nothing_was_run(browser, path):
    with Visit(browser, path, viewport={"width": 1280, "height": 800}) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        box = visit.page.locator(".chart").first.bounding_box()
        visit.page.mouse.move(box["x"] + 100, box["y"] + 100)
        visit.page.wait_for_timeout(50)
        assert visit.page.evaluate("window.hacked === undefined && window.parent.hacked === undefined")
        assert visit.requests == [path.as_uri()]
        assert visit.complaints == []
        assert visit.page.evaluate("document.querySelectorAll('iframe, form, base, img, link').length") == 0


def test_hostile_labels_are_shown_and_never_run(browser, tmp_path):
    write_report(tmp_path / "report.html", make_report(" ".join(HOSTILE[:-1]), labels=HOSTILE))
    nothing_was_run(browser, tmp_path / "report.html")


@pytest.mark.deep
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_each_hostile_string_alone_is_shown_and_never_run(browser, tmp_path, text):
    write_report(tmp_path / "report.html", make_report(text))
    nothing_was_run(browser, tmp_path / "report.html")


def test_a_hostile_string_reads_as_it_was_written(browser, tmp_path):
    text = "<b>&amp;</b>"
    path = tmp_path / "report.html"
    write_report(path, make_report(text))
    with Visit(browser, path) as visit:
        assert visit.page.locator("h1").inner_text() == f"{text}demo-names"
        assert visit.page.title() == f"{text}demo-names: elman report"


CONTRAST = """
() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c.startsWith('rgb(')) return parse(c);
      if (!c.startsWith('rgba(0, 0, 0, 0')) return null;  // mixed colours: measured by eye
    }
    return null;
  };
  const bad = [];
  const written = 'h1, h2, h3, p, td, th, summary, figcaption, .figure, .value, .name';
  for (const element of document.querySelectorAll(written)) {
    if (!element.innerText.trim()) continue;
    const ground = behind(element);
    if (!ground) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < LEGIBLE) bad.push([element.className, element.innerText.slice(0, 20), ratio.toFixed(2)]);
  }
  return bad;
}
""".replace("LEGIBLE", str(LEGIBLE))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, report, scheme):
    with Visit(browser, report, color_scheme=scheme) as visit:
        assert visit.page.evaluate(CONTRAST) == []


def test_the_colours_of_the_charts_follow_the_scheme(browser, report):
    with Visit(browser, report, color_scheme="light") as visit:
        line = "getComputedStyle(document.querySelector('.chart .js-line')).stroke"
        before = visit.page.evaluate(line)
        visit.page.emulate_media(color_scheme="dark")
        visit.page.wait_for_timeout(200)
        assert visit.page.evaluate(line) != before


def test_it_prints_with_charts_as_wide_as_their_places(browser, report, tmp_path):
    note = (
        f"matchMedia('print').addEventListener('change', now => {{ if (now.matches) window.gaps = {GAPS} }})"
    )
    with Visit(browser, report, viewport={"width": 1280, "height": 800}) as visit:
        visit.page.evaluate(note)
        visit.page.pdf(path=str(tmp_path / "report.pdf"))
        assert max(visit.page.evaluate("window.gaps")) <= 1
    assert os.path.getsize(tmp_path / "report.pdf") > 20_000
