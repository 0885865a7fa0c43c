"""RUN X-RAY: all that is known of a run's inside, in the form in which it is printed and drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from elman.xray.diagnosis import Diagnosis
from elman.xray.examine import Examination
from elman.xray.json_form import json_form

FORMAT = 1
"""Number of the layout of the JSON; see docs/xray.md."""


@dataclass(frozen=True, eq=False)
class RunXray:
    """What the X-ray of a run found.

    Args:
        run_name: of the run's folder, or of the model.
        examination: what `examine` found on a batch.
        diagnoses: the worst first; empty where nothing was found.
        tokens: of each row of the batch, in the order of its rows; None where it read no tokens.
        saliency: a number for each of those tokens: how much the loss depends on it; None where unknown.
        attention: of each row, [target steps][source steps]; None without attention.
        records: the lines of `xray.jsonl`; none without --xray-every.
        loss_curve: (step, loss) of the records or else, of the training loss after each epoch.
        data: where the batch comes from, in a few words.
        padding: whether padding and batch-mates change what the network says, in a line; "" where unknown.
    """

    run_name: str
    examination: Examination
    diagnoses: list[Diagnosis]
    tokens: list[list[str]] | None = None
    saliency: list[list[float]] | None = None
    attention: list[list[list[float]]] | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    loss_curve: list[tuple[int, float]] = field(default_factory=list)
    data: str = ""
    padding: str = ""

    def __str__(self) -> str:
        """Return the diagnoses, a line each, under the name of the run; `elman xray` prints more."""
        lines = [f"X-ray of {self.run_name}" + (f" ({self.data})" if self.data else "")]
        for one in self.diagnoses:
            where = f" in {one.layer}" if one.layer else ""
            lines.append(f"{one.name}{where}: {one.evidence}" + (f"; try {one.remedy}" if one.remedy else ""))
        return "\n".join(lines if self.diagnoses else [*lines, "nothing ails it"])

    def to_json(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers.

        Example:
            >>> RunXray("poet", Examination(0.5, [], [], []), []).to_json()["format"]
            1
        """
        parts = {name: json_form(getattr(self, name)) for name in self.__dataclass_fields__}
        return {"format": FORMAT, **parts, "examination": self.examination.to_json()}
