"""RUN PADDING: put a run's own network to `check_padding`, on a few rows of its data.

Shape legend: B batch, T time.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import ElmanError
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern
from elman.xray.examine import Examination
from elman.xray.padding import check_padding
from elman.xray.padding_report import Leak

ROWS = 4
"""Rows that are looked at: each is run alone, without padding, and beside the others."""

MOST_STEPS = 400
"""Longer rows cost more than the rest of an X-ray."""

STEADY = 1e-4
"""Distance of a layer from its re-run beyond which rounding alone changes what it says."""

SPELLINGS = "spellings"
"""The feature that has a row for each spelling, and not for each sequence."""

CLEAN = "padding and batch-mates change nothing that it says, nor its gradients"


class Called(nn.Module):
    """A pattern called as `check_padding` calls a module: with one tensor and its lengths.

    Args:
        pattern: the network.
        names: of the features that have an entry for each step.
        table [N, features]: ids that stand together at a step, where there are several; the tensor counts
            its rows. None: the tensor is the feature itself.
        fixed: the other features: the spellings, which ids point to.
        target [1, T]: what each row is led through, where the network reads that too; None otherwise.
    """

    def __init__(
        self,
        pattern: Pattern,
        names: list[str],
        *,
        table: Tensor | None,
        fixed: dict[str, Padded],
        target: Padded | None,
    ) -> None:
        super().__init__()
        self.pattern, self.names = pattern, names
        self.table, self.fixed, self.target = table, fixed, target

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        """Return the pattern's scores."""
        target = None
        if self.target is not None:
            data = self.target.data.expand(len(x), *self.target.data.shape[1:])
            target = Padded(data, self.target.lengths.expand(len(x)))
        parts = [x] if self.table is None else self.table[x].unbind(-1)
        features = {name: Padded(part, lengths) for name, part in zip(self.names, parts, strict=True)}
        batch: Any = SimpleNamespace(features=features | self.fixed, target=target)
        return self.pattern.scores(batch)


def padding_of(model: Pattern, batch: Batch, examination: Examination) -> tuple[list[Leak], str]:
    """Return the leaks of a network, named by its submodules, and in a line what was found.

    Args:
        model: it is left as it was.
        batch: some rows of its data.
        examination: of the same rows; where rounding changes what a layer says, no leak could be told.

    Example:
        >>> from elman.nn.embedding import TokenEmbedding, WordEmbedding
        >>> from elman.nn.encoder import Encoder
        >>> from elman.patterns import Tagger
        >>> from elman.xray.examine import examine
        >>> encoder = Encoder(4, 5, cell="gru")
        >>> tagger = Tagger(WordEmbedding(TokenEmbedding(9, 4)), encoder, num_labels=3)
        >>> words = Padded(torch.randint(1, 9, (2, 4)), torch.tensor([4, 2]))
        >>> rows = SimpleNamespace(features={"tokens": words}, target=words.with_data(words.data % 3))
        >>> padding_of(tagger, rows, examine(tagger, rows))
        ([], 'padding and batch-mates change nothing that it says, nor its gradients')
    """
    reason = _reason(batch, examination)
    if reason:
        return [], f"padding was not checked: {reason}"
    names = [name for name in batch.features if name != SPELLINGS]
    first = batch.features[names[0]]
    order = first.lengths.argsort(descending=True, stable=True)
    rows = order[torch.linspace(0, len(order) - 1, min(ROWS, len(order))).round().long()]
    lengths, data, table = first.lengths[rows], first.data[rows], None
    if len(names) > 1:
        together = torch.stack([batch.features[name].data[rows] for name in names], -1)
        met, places = together.flatten(0, 1).unique(dim=0, return_inverse=True)
        table = torch.cat((torch.zeros_like(met[:1]), met))  # 0 stays what stands in the padding
        data = places.reshape(data.shape) + 1
    target = None
    if isinstance(batch.target, Padded):
        target = Padded(batch.target.data[rows[:1]], batch.target.lengths[rows[:1]])
    fixed = {name: feature for name, feature in batch.features.items() if name == SPELLINGS}
    called = Called(model, names, table=table, fixed=fixed, target=target)
    try:
        found = check_padding(called, data, lengths)
    except ElmanError as error:  # it says why: it draws at random, or gives no tensor
        return [], f"padding was not checked: {error}"
    leaks = [replace(leak, submodule=_own_name(leak.submodule)) for leak in found.leaks]
    if leaks:
        return leaks, f"padding or batch-mates change what it says: {len(leaks)} leaks"
    if len(set(lengths.tolist())) == 1:
        return [], f"{CLEAN}, as far as rows of one length can show"
    return [], "; ".join([CLEAN, *found.notes])


def _reason(batch: Batch, examination: Examination) -> str | None:
    """Return why a check is not made; None where it is."""
    features = [feature for name, feature in batch.features.items() if name != SPELLINGS]
    feature = features[0]
    if len(features) > 1 and any(
        other.data.shape != feature.data.shape or other.data.is_floating_point() for other in features
    ):
        return f"the network reads {', '.join(batch.features)} side by side"
    longest = int(feature.lengths.max()) if len(feature.lengths) else 0
    if not 0 < longest <= MOST_STEPS:
        return f"the longest row has {longest} steps, and it is made for 1 to {MOST_STEPS}"
    if any(flow.rerun_gap > STEADY for flow in examination.layers):
        return "rounding alone changes what its layers say"
    return None


def _own_name(submodule: str | None) -> str | None:
    """Return a submodule's name in the pattern, not in what calls it."""
    return None if submodule is None else submodule.removeprefix("pattern").removeprefix(".")
