"""TAG: many-to-many, aligned. A sequence goes in, one tag for each of its steps comes out.

Shape legend: B batch, T time, K tags.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.losses import cross_entropy
from elman.nn.crf import CRF, Legal, Viterbi
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern


@dataclass(frozen=True)
class Decoded:
    """The tags of a batch.

    Args:
        tags: the tags of each row, one id a step.
        probabilities: how probable each of those tags is at its step.
        scores: what they were made of, Padded *[B, T, K]*.
    """

    tags: list[list[int]]
    probabilities: list[NDArray[np.float64]]
    scores: Padded


class Tagger(Pattern):
    """Read a sequence and give each step a tag.

    input layer -> dropout -> encoder -> dropout -> linear -> softmax or CRF

    Args:
        input_layer, encoder: see `Pattern`.
        num_labels: tags, K.
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.
        crf: score whole sequences of tags by a linear-chain CRF, instead of each tag by itself.
        legal: which tags may stand where (`metrics.legal_transitions`); decoding keeps to it, with a CRF or
            without.

    Example:
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import TokenEmbedding, WordEmbedding
        >>> words = WordEmbedding(TokenEmbedding(9, 3))
        >>> pattern = Tagger(words, Encoder(3, 8), num_labels=5, crf=True).eval()
        >>> tokens = Padded(torch.ones(2, 4, dtype=torch.long), torch.tensor([4, 2]))
        >>> decoded = pattern.decode(SimpleNamespace(features={"tokens": tokens}, target=None))
        >>> [len(row) for row in decoded.tags]
        [4, 2]
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        *,
        num_labels: int,
        dropout: float = 0.33,
        input_dropout: float | None = None,
        crf: bool = False,
        legal: Legal | None = None,
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        self.linear = nn.Linear(encoder.output_size, num_labels)
        self.crf = CRF(num_labels, legal=legal) if crf else None
        self.viterbi = Viterbi(num_labels, legal=legal) if legal is not None and not crf else None

    def scores(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return unnormalised scores of each tag at each step, Padded [B, T, K]."""
        steps = self.encode(batch, window=window)
        return steps.with_data(self.linear(self.output_dropout(steps.data)))

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the negative log-probability of the right tags, divided by the number of real steps.

        Args:
            batch: its target holds the ids of the tags, int64, Padded *[B, T]*.
            window: see `Pattern.scores`.
        """
        scores = self.scores(batch, window=window)
        if self.crf is None:
            return cross_entropy(scores, batch.target)
        total = -self.crf.log_likelihood(scores, batch.target).sum()
        return total / scores.lengths.sum().clamp(min=1).to(total.device)

    @torch.no_grad()
    def loss_and_steps(self, batch: Batch, scores: Padded) -> tuple[float, int]:
        """Return the summed loss of what has a known tag, and how many steps that is.

        Args:
            batch: its target as for `loss`, -1 where a tag is not known. A CRF, which scores rows whole,
                leaves out rows that hold such a tag.
            scores: what `scores` or `decode` gave for the batch.
        """
        target = batch.target.data
        mask = scores.mask
        is_known = (target >= 0) & mask
        if self.crf is None:
            total = cross_entropy(scores.data[is_known], target[is_known], reduction="sum")
            return float(total), int(is_known.sum())
        rows = (is_known == mask).all(1)
        kept = Padded(scores.data[rows], scores.lengths[rows.cpu()])
        tags = Padded(torch.where(mask, target, 0)[rows], kept.lengths)
        return -float(self.crf.log_likelihood(kept, tags).sum()), int(kept.lengths.sum())

    @torch.no_grad()
    def decode(self, batch: Batch) -> Decoded:
        """Return the best legal tags of each row, and the probability of each tag at its step."""
        scores = self.scores(batch)
        if self.crf is not None:
            tags, probabilities = self.crf.decode(scores), self.crf.marginals(scores)
        else:
            probabilities = scores.with_data(scores.data.softmax(-1))
            # Log-probabilities, so that the best legal sequence is the most probable one.
            by_step = scores.with_data(scores.data.log_softmax(-1))
            tags = self.viterbi(by_step) if self.viterbi else scores.with_data(scores.data.argmax(-1))
        chosen = probabilities.data.gather(2, tags.data.unsqueeze(2)).squeeze(2).double().cpu()
        rows = tags.with_data(chosen).unpad()
        return Decoded([row.tolist() for row in tags.unpad()], [row.numpy() for row in rows], scores)
