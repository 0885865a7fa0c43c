"""RIVALS: several baselines of one run; the first is the one that a result is compared with."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from elman.baselines.baseline import Baseline


class Rivals(Baseline):
    """Several baselines, fitted on the same examples; in everything else the first of them.

    Args:
        members: one or more.

    Example:
        >>> from elman.baselines.counting import Majority
        >>> Rivals([Majority.fit([1, 2], ["a", "a"])]).predict([3])
        ['a']
    """

    def __init__(self, members: Sequence[Baseline]) -> None:
        self.members = list(members)
        self.name = self.members[0].name

    @property
    def description(self) -> str:
        """What the first one does, in one line."""
        return self.members[0].description

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the first one's answers."""
        return self.members[0].predict(inputs)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors: dict[str, Tensor] = {}
        infos = []
        for number, member in enumerate(self.members):
            own, info = member._state()
            tensors |= {f"{number}/{name}": value for name, value in own.items()}
            infos.append({"baseline": type(member).__name__} | info)
        return tensors, {"members": infos}

    @classmethod
    def from_parts(
        cls, tensors: dict[str, Tensor], info: dict[str, Any], kinds: dict[str, type[Baseline]]
    ) -> "Rivals":
        """Return the baselines that `_state` described; `kinds` is the table that names them."""
        members = []
        for number, each in enumerate(info["members"]):
            start = f"{number}/"
            own = {
                name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
            }
            members.append(kinds[each["baseline"]]._from_state(own, each))
        return cls(members)

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "Rivals":
        raise TypeError("Rivals are made by from_parts, which knows the table of baselines")


def score_all(
    baseline: Baseline, inputs: Sequence[Any], score: Callable[[list[Any]], dict[str, float]]
) -> dict[str, Any]:
    """Return a baseline's scores; of several, the first one's, and the others' under "others" by name.

    Args:
        baseline: one, or `Rivals`.
        inputs: as its `predict` takes them.
        score: from answers to scores.
    """
    if not isinstance(baseline, Rivals):
        return dict(score(baseline.predict(inputs)))
    own = [score(member.predict(inputs)) for member in baseline.members]
    others = {
        member.name: {"description": member.description} | scores
        for member, scores in zip(baseline.members[1:], own[1:], strict=True)
    }
    return own[0] | ({"others": others} if others else {})
