"""The report as text: what it says, and that nothing of a user's can become part of the page's own code."""

import html.parser
import json

import numpy as np
import pytest
from report_data import HOSTILE, make_report

from elman.errors import RunError
from elman.report import charts as report_charts
from elman.report import make_page, write_report
from elman.report import markup as report_markup


@pytest.fixture(scope="module")
def page():
    return make_page(make_report())


class Reader(html.parser.HTMLParser):
    """Collects the tags of a page, and the text outside scripts and styles."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def words(page: str) -> str:
    return " ".join(" ".join(read(page).text).split())


def test_it_says_the_result_beside_the_baselines_in_one_sentence(page):
    assert "Accuracy on the test part is 83.9 %, 9.8 points above the baseline (bag of characters" in words(
        page
    )


def test_a_rival_without_a_description_ends_in_a_full_stop():
    report = make_report()
    report.result["test"]["baseline"]["others"] = {
        "drift": {"accuracy": 0.5},
        "mean": {"description": "of all"},
    }
    shown = words(make_page(report))
    assert "Also measured, drift (accuracy 50.0 %). Also measured, mean (accuracy –): of all" in shown


def test_a_model_below_its_baseline_is_told_so():
    report = make_report()
    report.result["test"]["baseline"]["accuracy"] = 0.9
    assert "6.1 points below the baseline" in words(make_page(report))


@pytest.mark.parametrize(
    "part",
    ["Result", "Training", "Where it goes wrong", "Surest mistakes", "Data", "Settings", "chosen for you"],
)
def test_every_part_is_there(page, part):
    assert part in words(page)


def test_nothing_points_outside_the_page(page):
    for tag, attributes in read(page).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "a"}, tag
        assert "src" not in attributes and "href" not in attributes, tag


def test_the_content_policy_forbids_every_fetch(page):
    policies = [
        given["content"]
        for _, given in read(page).tags
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies and policies[0].startswith("default-src 'none'") and "http" not in policies[0]


def test_the_page_has_a_language_a_title_and_headed_tables(page):
    tags = read(page).tags
    assert ("html", {"lang": "en"}) in tags and any(tag == "title" for tag, _ in tags)
    for tag, attributes in tags:
        if tag == "th":
            assert attributes.get("scope") in {"row", "col"}
        if "data-chart" in attributes:
            assert attributes["role"] == "img" and attributes["aria-label"]
    assert sum(tag == "h1" for tag, _ in tags) == 1


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_string_is_text_wherever_it_stands(text):
    plain = read(make_page(make_report("x")))
    hostile = read(make_page(make_report(text)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags], "it brought a tag with it"
    assert [sorted(given) for _, given in hostile.tags] == [sorted(given) for _, given in plain.tags]


def test_json_inside_a_script_cannot_end_it():
    value = {"name": "</script><script>alert(1)</script>", "line": "\u2028\u2029", "comment": "<!--"}
    written = report_markup.embed(value)
    assert "<" not in written and ">" not in written and "\u2028" not in written
    assert json.loads(written) == value


def test_a_report_of_almost_nothing_is_still_a_page(page):
    from elman.report import ReportData

    assert "No accuracy could be measured" in words(make_page(ReportData("empty", "classify", "accuracy")))


def test_numbers_that_are_not_finite_leave_gaps_and_valid_json():
    report = make_report()
    report.history[3]["train"]["loss"] = None
    report.history[4]["valid"]["accuracy"] = float("nan")
    report.result["test"]["loss"] = float("inf")
    charts = report_charts.make_charts(report.history, metric="accuracy", best=3, baseline=None, lengths=[1])
    assert charts["loss"]["traces"][0]["y"][3] is None
    assert charts["metric"]["traces"][0]["y"][4] is None
    assert "inf" in words(make_page(report))


def test_every_sequence_is_in_one_bar_of_the_lengths():
    lengths = list(np.random.default_rng(0).integers(1, 5000, 700))
    bars = report_charts.length_bars([int(length) for length in lengths])["traces"][0]
    assert sum(bars["y"]) == 700 and len(bars["x"]) <= report_charts.MOST_BARS


def test_many_labels_are_cut_to_those_that_are_confused_most():
    count = 80
    report = make_report(labels=[f"label {number}" for number in range(count)])
    report.evaluation.confusion[7, 9] = 1000
    said = words(make_page(report))
    assert f"The 25 of {count} labels that are confused most" in said and "label 7 label 9 1,000" in said


def test_a_long_sentence_is_shown_around_its_wrong_word():
    report = make_report()
    sentence = [f"w{number}" for number in range(60)]
    sentence[30] = "[wrong]"
    report.evaluation.mistakes[0] = report.evaluation.mistakes[0].__class__(
        " ".join(sentence), "NOUN", "VERB", 0.99, "dev.conllu:8"
    )
    said = words(make_page(report))
    assert "… w18" in said and "[wrong]" in said and "w42 …" in said and "w43" not in said


def test_writing_is_whole_or_not_at_all(tmp_path):
    write_report(tmp_path / "report.html", make_report())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(RunError, match="cannot be written"):
        write_report(tmp_path / "no" / "such" / "report.html", make_report())


def test_lone_surrogates_do_not_stop_the_page(tmp_path):
    write_report(tmp_path / "report.html", make_report("\ud800 lone"))
    assert (tmp_path / "report.html").read_text(encoding="utf-8")
