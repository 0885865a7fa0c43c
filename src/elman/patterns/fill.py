"""FILL: many-to-many, aligned. Each step is told from what stands before it and after it, never from itself.

Shape legend: B batch, T time, E features of a step, H hidden, K words, N steps that are looked at.
"""

import torch
from torch import Tensor, nn

from elman.errors import ConfigError
from elman.losses import cross_entropy
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern


class Filler(Pattern):
    """Say which token stands at each step, from the tokens on both sides of it.

    ``p(x_t) = softmax(V relu(W [forward h_(t-1); backward h_(t+1)] + b))``

    Two stacks of one direction each: the forward one has read up to the step before, the backward one from
    the end down to the step after. So no step sees itself, at any depth (in a bidirectional stack the second
    layer would), and every token of a sentence is learned from at once. Other gaps are read as one
    learned vector; in training, tokens are hidden so at random, as several gaps in a sentence will be.

    Args:
        input_layer: see `Pattern`.
        encoder: reads forwards; of one direction.
        backward: reads backwards; the same sizes.
        num_labels: words to choose from, K.
        gap_id: the token that marks a gap.
        counts [K]: how often each word occurred in training; the output's bias starts at their logarithm,
            so that the first updates need not learn which words are frequent. None: torch's draw.
        hide_rate: share of the tokens that are read as gaps in training (drawn as dropout is).
        dropout, input_dropout: see `Pattern`.

    Raises:
        ConfigError: an encoder of two directions, or two of different sizes.

    Source: Melamud, Goldberger and Dagan 2016, context2vec, section 2.2, with a softmax over the vocabulary
    in place of sampling. Hiding 15 % of the tokens: Devlin et al. 2019, BERT, section 3.1.

    Example:
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import TokenEmbedding, WordEmbedding
        >>> words = WordEmbedding(TokenEmbedding(9, 3))
        >>> pattern = Filler(words, Encoder(3, 8), Encoder(3, 8), num_labels=6, gap_id=2)
        >>> tokens = Padded(torch.ones(2, 4, dtype=torch.long), torch.tensor([4, 2]))
        >>> pattern.scores(SimpleNamespace(features={"tokens": tokens}, target=None)).data.shape
        torch.Size([2, 4, 6])
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        backward: Encoder,
        *,
        num_labels: int,
        gap_id: int,
        counts: Tensor | None = None,
        hide_rate: float = 0.15,
        dropout: float = 0.3,
        input_dropout: float | None = None,
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        for reader in (encoder, backward):
            if reader.num_directions != 1 or reader.input_size != encoder.input_size:
                raise ConfigError(
                    "a filler reads with two encoders of one direction each and of the same input size; "
                    "expected bidirectional=False for both."
                )
        self.backward = backward
        self.gap_id = gap_id
        self.hide_rate = hide_rate
        self.gap_vector = nn.Parameter(torch.zeros(encoder.input_size))
        size = encoder.output_size + backward.output_size
        self.context = nn.Linear(size, encoder.output_size)
        self.linear = nn.Linear(encoder.output_size, num_labels)
        if counts is not None:
            with torch.no_grad():
                self.linear.bias.copy_((counts / counts.sum()).log())

    def contexts(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return what is known of each step from both of its sides, Padded [B, T, H].

        Args:
            batch: only its features are looked at; a token of `gap_id` is a gap.
            window: see `Pattern.scores`; of the backward direction, counted from a row's end.
        """
        steps = self._with_gaps(batch)
        steps = steps.with_data(self.input_dropout(steps.data))
        before_BTH = self.encoder(steps, window=window)[0].data
        after_BTH = self.backward(steps.reverse(), window=window)[0].reverse().data
        # Outputs are zero beyond a length, so the last step has zeros after it as the first has before it.
        sides = torch.cat([_shift(before_BTH, 1), _shift(after_BTH, -1)], -1)
        return steps.with_data(torch.relu(self.context(self.output_dropout(sides))))

    def scores(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return unnormalised scores of each word at each step, Padded [B, T, K]."""
        contexts = self.contexts(batch, window=window)
        return contexts.with_data(self.linear(contexts.data))

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the mean negative log-probability of the right words.

        Args:
            batch: its target holds the ids of the words, int64, Padded *[B, T]*; -1 where there is nothing
                to learn, which counts for nothing.
            window: see `contexts`.
        """
        contexts, target = self.contexts(batch, window=window), batch.target
        is_known = (target.data >= 0) & target.mask
        return cross_entropy(self.linear(contexts.data[is_known]), target.data[is_known])

    @torch.no_grad()
    def gap_scores(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the log-probability of each word at each gap, [N, K], and where those are, [B, T] bool.

        Rows come one after the other, gaps in their order.
        """
        tokens = batch.features["tokens"]
        is_gap = (tokens.data == self.gap_id) & tokens.mask
        return self.linear(self.contexts(batch).data[is_gap]).log_softmax(-1), is_gap

    def _with_gaps(self, batch: Batch) -> Padded:
        """Return what the input layer makes of the tokens, with the gap's vector for what is hidden."""
        steps: Padded = self.input_layer(batch.features)
        is_gap = torch.zeros(steps.data.shape[:2], dtype=torch.bool, device=steps.data.device)
        if "tokens" in batch.features:
            is_gap = batch.features["tokens"].data == self.gap_id
        if self.training and self.hide_rate:
            is_gap = is_gap | (torch.rand(is_gap.shape, device=is_gap.device) < self.hide_rate)
        return steps.with_data(torch.where(is_gap.unsqueeze(-1), self.gap_vector, steps.data))


def _shift(data_BTH: Tensor, by: int) -> Tensor:
    """Move every step one later (by 1) or one earlier (by -1); zeros come in at the end left free."""
    zeros = torch.zeros_like(data_BTH[:, :1])
    parts = [zeros, data_BTH[:, :-1]] if by > 0 else [data_BTH[:, 1:], zeros]
    return torch.cat(parts, 1)
