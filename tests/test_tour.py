"""Every claim of the tour, by the script that shows it; and the pictures are those that the scripts draw."""

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from elman.errors import ConfigError
from elman.xray.line_chart import draw_lines

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("tour_*.py"))

CLAIMS = {
    "tour_shared_weights": lambda found: (
        found["recurrent"] * 10 < found["side_by_side"] and found["gap"] < 1e-12
    ),
    "tour_order": lambda found: found["gru"] > 0.95 and 0.4 < found["mean"] < 0.6,
    "tour_eigenvalues": lambda found: (
        found["0.8"] == pytest.approx(0.8**30, rel=1e-5)
        and found["1.0"] == pytest.approx(1, rel=1e-5)
        and found["1.2"] == pytest.approx(1.2**30, rel=1e-5)
        and found["tanh 1.2"] < 0.1
    ),
    "tour_gates": lambda found: (
        min(found["GRU"], found["LSTM"]) > 0.7 and found["Elman network"] < 0.5  # chance is 0.25
    ),
    "tour_both_directions": lambda found: found["both directions"] > 0.95 and found["one direction"] < 0.35,
    "tour_clipping": lambda found: found["clipped at 1"] < 1 and not found["not clipped"] < 1e6,
    "tour_recent_input": lambda found: (
        max(found[name] for name in ("Elman network", "GRU", "LSTM"))
        < 1e-3
        < 0.1
        < found["LSTM, forget bias 3"]
    ),
    "tour_sparse_embeddings": lambda found: (
        found["adam, sparse"] == 0 and min(found["adam, dense"], found["momentum, dense"]) > 0.01
    ),
}


def test_every_script_has_its_claim_its_picture_and_its_place_on_the_page():
    assert {path.stem for path in SCRIPTS} == CLAIMS.keys()
    page = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    for path in SCRIPTS:
        assert f"examples/{path.name}" in page
        assert f"({path.stem}.svg)" in page


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_the_claim_holds_and_the_picture_is_the_scripts(script, tmp_path):
    specification = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found = module.main(str(tmp_path / "picture.svg"))
    assert CLAIMS[script.stem](found), found
    drawn, kept = (tmp_path / "picture.svg").read_text("utf-8"), (ROOT / "docs" / f"{script.stem}.svg")
    # Trained curves differ by rounding between machines; what is drawn, and of what, does not.
    assert words(drawn) == words(kept.read_text("utf-8"))


def words(picture):
    """Return the words of a picture: title, axes and names of curves, without numbers."""
    texts = [one.text for one in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    return sorted(text for text in texts if not re.fullmatch(r"[-+.e\d]+", text))


def test_a_chart_shows_each_point_in_its_place():
    root = ElementTree.fromstring(
        draw_lines({"a": [(0, 0), (1, 5), (2, 10)], "b": [(0, 10)]}, "t", across="x", up="y")
    )
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    points = sorted(
        [float(n) for n in p.split(",")] for p in max((one.get("points") for one in lines), key=len).split()
    )
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 - y1 == pytest.approx(y1 - y2) and y0 > y2


def test_a_curve_ends_where_it_is_no_number():
    def count(points, **options):
        root = ElementTree.fromstring(draw_lines({"a": points}, "t", across="x", up="y", **options))
        return len(root.find("{http://www.w3.org/2000/svg}polyline").get("points").split())

    assert count([(0, 1), (1, 2), (2, float("nan")), (3, 4)]) == 2
    assert count([(0, 1), (1, 0.5), (2, 0), (3, 4)], is_log=True) == 2
    with pytest.raises(ConfigError, match="0 curves"):
        draw_lines({"a": [(0, float("inf"))]}, "t", across="x", up="y")
    with pytest.raises(ConfigError, match="8 curves"):
        draw_lines({str(n): [(0, n)] for n in range(8)}, "t", across="x", up="y")
