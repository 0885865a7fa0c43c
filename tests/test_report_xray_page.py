"""The X-ray page in a real browser: nothing is fetched or run that is not ours, and everything is drawn."""

import dataclasses

import pytest
from report_data import HOSTILE
from test_report_page import CHROMIUM, CONTRAST, Visit, browser
from torch import nn
from xray_data import make_examination, make_records, make_xray

from elman.report.xray import write_page

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
    ),
]

__all__ = ["browser"]  # the fixture of the report's tests

DRAWN = "[...document.querySelectorAll('.chart')].every(place => place.querySelector('.main-svg'))"
"""Whether plotly has been at every place."""

TOO_SMALL = """[...document.querySelectorAll('.chart text')].filter(
    text => text.textContent.trim() && parseFloat(getComputedStyle(text).fontSize) < 11.5
    && getComputedStyle(text).visibility !== 'hidden').map(text => text.textContent)"""


def wait_until(page, condition):
    """Ask again and again from outside: the page's policy forbids it to evaluate the question itself."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


@pytest.fixture(scope="module")
def examination():
    return make_examination(nn.LSTM, layers=2, two=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory, examination):
    path = tmp_path_factory.mktemp("xray") / "xray.html"
    write_page(make_xray("", examination), path)
    return path


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_it_fetches_nothing_complains_of_nothing_and_fits(browser, page, width, height):
    with Visit(browser, page, viewport={"width": width, "height": height}) as visit:
        wait_until(visit.page, DRAWN)
        assert visit.requests == [page.as_uri()]
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.page.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, page, scheme):
    with Visit(browser, page, color_scheme=scheme) as visit:
        assert visit.page.evaluate(CONTRAST) == []


def test_hostile_strings_are_shown_and_never_run(browser, examination, tmp_path):
    xray = make_xray("", examination)
    flow, parameter, diagnosis = examination.layers[0], examination.parameters[0], xray.diagnoses[0]
    gates = {text: {"mean": 0.5, "saturated": 0.1} for text in HOSTILE}
    records = [record | {"layers": [record["layers"][0] | {"gates": gates}]} for record in xray.records]
    found = dataclasses.replace(
        examination,
        layers=[dataclasses.replace(flow, name=text[:20]) for text in HOSTILE],
        parameters=[dataclasses.replace(parameter, name=text) for text in HOSTILE],
        notes=HOSTILE,
    )
    xray = dataclasses.replace(
        xray,
        examination=found,
        diagnoses=[
            dataclasses.replace(diagnosis, name=text, layer=text, remedy=text, evidence=text)
            for text in HOSTILE
        ],
        tokens=[HOSTILE],
        saliency=[[1.0] * len(HOSTILE)],
        attention=[[[1.0 / len(HOSTILE)] * len(HOSTILE)] * 3],
        records=records,
    )
    write_page(xray, tmp_path / "xray.html")
    nothing_was_run(browser, tmp_path / "xray.html")


@pytest.mark.deep
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_each_hostile_string_alone_is_shown_and_never_run(browser, examination, tmp_path, text):
    write_page(make_xray(text, examination), tmp_path / "xray.html")
    nothing_was_run(browser, tmp_path / "xray.html")


def nothing_was_run(browser, path):
    with Visit(browser, path, viewport={"width": 1280, "height": 800}) as visit:
        visit.page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))
        wait_until(visit.page, DRAWN)
        box = visit.page.locator(".chart").first.bounding_box()
        visit.page.mouse.move(box["x"] + 200, box["y"] + 150)
        visit.page.wait_for_timeout(50)
        assert visit.page.evaluate("window.hacked === undefined && window.parent.hacked === undefined")
        assert visit.requests == [path.as_uri()]
        assert visit.complaints == []
        assert (
            visit.page.evaluate("document.querySelectorAll('iframe, form, base, img, link, a').length") == 0
        )


OVERLAPS = """name => {
    const texts = [...document.querySelectorAll(`[data-chart=${name}] text`)].filter(
        text => text.textContent.trim());
    const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1
        && b.top < a.bottom - 1;
    const boxes = texts.map(text => text.getBoundingClientRect());
    return boxes.flatMap((a, at) => boxes.slice(at + 1).filter(b => meets(a, b)).map(
        () => texts[at].textContent));
}"""


@pytest.mark.parametrize("kind", ["unit_gradients", "unit_states"])
def test_maps_over_units_hold_the_numbers_and_have_legible_scales(browser, page, examination, kind):
    with Visit(browser, page, viewport={"width": 1280, "height": 800}) as visit:
        wait_until(visit.page, DRAWN)
        for place, flow in enumerate(examination.layers):
            name = f"{kind}-{place}"
            (drawn,) = visit.page.evaluate(
                "name => document.querySelector(`[data-chart=${name}]`).data", name
            )
            assert (len(drawn["y"]), len(drawn["x"])) == (flow.hidden_size, int(flow.lengths.max()))
            marks = visit.page.locator(f"[data-chart={name}] .colorbar .cbaxis text").all_text_contents()
            assert len(marks) >= 2 and all(any(sign.isdigit() for sign in mark) for mark in marks)
            assert visit.page.evaluate(OVERLAPS, name) == []
        assert visit.complaints == []


def test_one_control_moves_all_animated_figures(browser, page):
    records = make_records()
    step = "document.getElementById('step').textContent"
    shown = "name => document.querySelector(`[data-chart=${name}]`).data"
    with Visit(browser, page, viewport={"width": 1280, "height": 800}) as visit:
        wait_until(visit.page, DRAWN)
        assert visit.page.evaluate(shown, "training-loss")[1]["x"] == [records[-1]["step"]]
        visit.page.locator("#frame").fill("2")
        wait_until(visit.page, f"({shown})('training-loss')[1].x[0] === {records[2]['step']}")
        curve = visit.page.evaluate(shown, "training-gradients")[0]["y"]
        assert curve == pytest.approx(records[2]["layers"][0]["gradient_norms"], rel=1e-3)
        bars = visit.page.evaluate(shown, "training-gates")[0]["y"]
        gates = [gate["mean"] for layer in records[2]["layers"] for gate in layer["gates"].values()]
        assert bars == pytest.approx(gates, rel=1e-3)
        assert visit.page.locator("#step").inner_text() == "step 300"
        visit.page.set_viewport_size({"width": 900, "height": 800})
        visit.page.wait_for_timeout(100)
        assert visit.page.evaluate(shown, "training-loss")[1]["x"] == [records[2]["step"]]
        visit.page.locator("#play").click()
        wait_until(visit.page, f"{step} === 'step {records[-1]['step']}'")
        assert visit.complaints == []


def test_words_tables_and_tokens_need_no_script(browser, page):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(page.as_uri())
    text = opened.locator("body").inner_text()
    for words in (
        "vanishing",
        "--cell lstm",
        "memory horizon",
        "weight_hh_l0",
        "The figures need JavaScript",
        "film",
    ):
        assert words in text
    context.close()
