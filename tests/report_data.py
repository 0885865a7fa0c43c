"""A report's worth of made-up results, with one string in every place that a user's string can reach."""

import numpy as np

from elman.report import ReportData
from elman.tasks.prediction import Evaluation, Mistake

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "</style><script>window.hacked = 1</script>",
    "</title><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<svg onload=window.hacked=1>",
    "<svg><script>window.hacked=1</script></svg>",
    "<iframe src='javascript:parent.hacked=1'></iframe>",
    "<body onload=window.hacked=1>",
    "<a href='javascript:window.hacked=1'>x</a>",
    "<link rel=stylesheet href=http://example.invalid/x.css>",
    "<meta http-equiv=refresh content='0;url=http://example.invalid/'>",
    "<base href=http://example.invalid/>",
    "<form action=http://example.invalid/><input autofocus onfocus=window.hacked=1>",
    '" onmouseover="window.hacked=1" x="',
    "' onmouseover='window.hacked=1' x='",
    "` onmouseover=`window.hacked=1`",
    "<!-- comment",
    "--> <script>window.hacked=1</script>",
    "<![CDATA[ <script>window.hacked=1</script> ]]>",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "&#60;img src=x onerror=window.hacked=1&#62;",
    "javascript:window.hacked=1",
    "{{constructor.constructor('window.hacked=1')()}}",
    "${window.hacked=1}",
    "%{x} %{customdata}<b>bold</b><extra></extra>",
    "url(http://example.invalid/x.png)",
    "\u2028window.hacked=1\u2029",
    "\u202egnirts desrever",
    "\x00\x07\x1b[31mred\x7f\x9b",
    "\\u003cscript\\u003ewindow.hacked=1\\u003c/script\\u003e",
    "𝕏" * 2000,
]


def make_report(text: str = "", labels: list[str] | None = None) -> ReportData:
    """Return results of a classifier of surnames.

    Args:
        text: put before every string of a user's.
        labels: the labels; None: five languages.
    """
    rng = np.random.default_rng(0)
    labels = [text + name for name in labels or ["Czech", "Dutch", "Irish", "Polish", "Slovak"]]
    confusion = np.diag(rng.integers(50, 90, len(labels))).astype(np.int64) + rng.integers(
        0, 4, (len(labels),) * 2
    )
    rates = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "support": 31}
    scores = {
        "loss": 0.5123,
        "accuracy": 0.8394,
        "macro_f1": 0.8,
        "per_class": {label: dict(rates) for label in labels},
        "baseline": {
            "name": text + "bag of characters",
            "description": text + "logistic regression on counts of characters.",
            "accuracy": 0.741,
            "macro_f1": 0.7,
        },
    }
    history = [
        {
            "epoch": epoch,
            "step": 100 * epoch,
            "train": {"loss": 2.0 / epoch},
            "valid": {"loss": 2.2 / epoch, "accuracy": 1 - 0.5 / epoch},
            "learning_rate": 0.002 * (1 - epoch / 9),
            "skipped": 1,
        }
        for epoch in range(1, 9)
    ]
    timing = [
        {"epoch": epoch, "step": 100 * epoch, "seconds": 4.2, "sequences_per_second": 3100.0}
        for epoch in range(1, 9)
    ]
    mistakes = [
        Mistake(
            f"{text}Kowalczyk", labels[0], labels[1], 0.99 - 0.01 * number, f"{text}names.csv:{number + 2}"
        )
        for number in range(30)
    ]
    return ReportData(
        title=text + "demo-names",
        task="classify",
        metric="accuracy",
        settings={
            "task": "classify",
            "train": text + "names.csv",
            "input": text + "name",
            "out": text + "runs/names",
        },
        chosen={
            "task": "classify",
            "cell": "lstm",
            "hidden_size": 128,
            "dropout": 0.5,
            "tokens": "characters",
        },
        data={
            "train": {"file": text + "names.csv", "examples": 8440},
            "test": {"file": "0.15 of train", "examples": 1688},
            "labels": len(labels),
            "vocabulary": 135,
        },
        versions={"elman": "0.1.0", "torch": text + "2.13.0"},
        result={
            "metric": "accuracy",
            "best": {"epoch": 8, "step": 800},
            "seconds": 71.2,
            "parameters": 176_343,
            "valid": dict(scores, baseline=dict(scores["baseline"])),
            "test": scores,
        },
        history=history,
        timing=timing,
        evaluation=Evaluation(
            metrics=scores,
            labels=labels,
            confusion=confusion,
            mistakes=mistakes,
            lengths=[int(length) for length in rng.integers(2, 20, 300)],
        ),
        split="test",
    )
