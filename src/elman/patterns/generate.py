"""GENERATE: one-to-many. What comes next, given what came before: language models, and models of frames.

Shape legend: B batch, T time, H hidden, V vocabulary, I columns of a frame, E numbers in a token's vector.

A batch holds, for each step, what is read ("tokens" or "numbers") and, as its target, what comes next. What
is read first is the boundary: token 0, whose vector is zero, or a frame of zeros. Where a token 0 is the
target, the sequence ends.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.cells import State
from elman.errors import ConfigError
from elman.losses import cross_entropy, frame_cross_entropy
from elman.nn.condition import ConditionedStart
from elman.nn.embedding import NumberInput, WordEmbedding
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern

SCORES_AT_ONCE = 2**24
"""Scores that are held together where nothing is learned: 64 MiB in float32."""


STEPS_FOR_A_TOKEN = 4
"""Steps in a batch for each token of the vocabulary from which on products are looked up."""


class LanguageModel(Pattern):
    """Read a sequence and score, at each of its steps, what comes next.

    input layer -> dropout -> encoder (one direction) -> dropout -> linear -> softmax or, for frames, sigmoid

    Args:
        input_layer, encoder: see `Pattern`; a `NumberInput` reads frames.
        num_outputs: tokens, V; or columns of a frame, I.
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.
        tied: score tokens by the vectors they are read by: the output's weights are the embedding's. Where
            these differ in size from the encoder's output, a linear layer without bias stands between.
        start: what makes the initial state from a batch's "condition"; None: the encoder's own.

    Raises:
        ConfigError: an encoder of two directions, which has read what it is to predict; tied weights where
            there are no trained vectors.

    Source: Mikolov et al. 2010; Zaremba et al. 2014 for where the dropouts stand; tied: Press and Wolf 2017,
    Inan et al. 2017; frames: Boulanger-Lewandowski et al. 2012.

    Example:
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import TokenEmbedding
        >>> model = LanguageModel(WordEmbedding(TokenEmbedding(9, 3)), Encoder(3, 8), num_outputs=9).eval()
        >>> tokens = Padded(torch.tensor([[0, 4, 5], [0, 7, 0]]), torch.tensor([3, 2]))
        >>> scores, state = model.read(SimpleNamespace(features={"tokens": tokens}, target=None))
        >>> scores.data.shape
        torch.Size([2, 3, 9])
        >>> step = model.stepper(state)
        >>> step(torch.tensor([6, 2])).shape
        torch.Size([2, 9])
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        *,
        num_outputs: int,
        dropout: float = 0.4,
        input_dropout: float | None = None,
        tied: bool = False,
        start: ConditionedStart | None = None,
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        if encoder.num_directions == 2:
            raise ConfigError(
                "a model that says what comes next was given an encoder of two directions, which has read "
                "it already; use one direction (--no-bidirectional)."
            )
        self.reads_frames = isinstance(input_layer, NumberInput)
        self.num_outputs = num_outputs
        self.start = start
        self.projection: nn.Module = nn.Identity()
        self.tied = tied
        if not tied:
            self.linear = nn.Linear(encoder.output_size, num_outputs)
            return
        if not isinstance(input_layer, WordEmbedding) or input_layer.tokens.kind == "one-hot":
            raise ConfigError(
                "tied weights are those of trained token vectors, but there are none (--no-tied)."
            )
        if encoder.output_size != input_layer.tokens.output_size:
            self.projection = nn.Linear(encoder.output_size, input_layer.tokens.output_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def score(self, hidden: Tensor) -> Tensor:
        """Return unnormalised scores of what comes next, [..., V], from the encoder's outputs [..., H]."""
        if not self.tied:
            scores: Tensor = self.linear(hidden)
            return scores
        scores = functional.linear(self.projection(hidden), self.token_vectors(), self.bias)
        # The boundary's vector is zero and stays so: its bias alone scores it, and no gradient reaches it.
        scores[..., 0] = self.bias[0]
        return scores

    def read(
        self, batch: Batch, state: State | None = None, *, window: int | None = None
    ) -> tuple[Padded, State]:
        """Return the scores of what follows each step, Padded [B, T, V], and the state after the last one.

        Args:
            batch: only its features are looked at.
            state: where to start, each part *[L, B, H]*; None: the start, made from the condition if any.
            window: see `Pattern.scores`.
        """
        hidden, final = self._hidden(batch, state, window)
        return hidden.with_data(self.score(hidden.data)), final

    def scores(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return unnormalised scores of what follows each step, Padded [B, T, V]."""
        return self.read(batch, window=window)[0]

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the negative log-probability of what comes next, divided by the number of real steps.

        Args:
            batch: its target holds what comes after each step: ids, int64, Padded *[B, T]*, or frames, Padded
                *[B, T, I]*.
            window: see `Pattern.scores`.
        """
        return self.loss_and_state(batch, window=window)[0]

    def loss_and_state(
        self, batch: Batch, state: State | None = None, *, window: int | None = None
    ) -> tuple[Tensor, State]:
        """Return `loss`, and the state after the last step, for the batch that goes on from there."""
        hidden, final = self._hidden(batch, state, window)
        scores = hidden.with_data(self.score(hidden.data))
        loss = frame_cross_entropy if self.reads_frames else cross_entropy
        return loss(scores, batch.target), final

    @torch.no_grad()
    def nats(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """Return the negative log-probability of what follows each real step, and the state after the last.

        Scores are made for some steps at a time: of a large vocabulary, they would fill the memory.

        Args:
            batch: as for `loss`.
            state: see `read`.

        Returns:
            [N] float64, row by row, over the N real steps of all rows.
        """
        hidden, final = self._hidden(batch, state, None)
        parts = [hidden.data.new_zeros(0, dtype=torch.float64)]
        count = max(1, SCORES_AT_ONCE // self.num_outputs)
        steps, targets = hidden.real_steps(), batch.target.real_steps()
        for some, target in zip(steps.split(count), targets.split(count), strict=True):
            scores = self.score(some)
            if self.reads_frames:
                target = target.to(scores.dtype)
                each = functional.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(1)
            else:
                each = functional.cross_entropy(scores, target, reduction="none")
            parts.append(each.double())
        return torch.cat(parts), final

    def begin(self, batch: Batch) -> tuple[Tensor, State]:
        """Read prompts, and return the scores of what comes next, [B, V], and the state after each.

        Args:
            batch: its features hold at least one step a row; its target is not looked at.
        """
        hidden, state = self._hidden(batch, None, None)
        return self.score(hidden.last()), state

    def stepper(self, state: State) -> Callable[[Tensor], Tensor]:
        """Return the model one step at a time: from token ids [B] or frames [B, I] to scores, [B, V].

        The same as `read`, with the weights packed once; see `kernels.step.Stepper`. It holds the state.

        Args:
            state: what the rows start from, each part *[L, B, H]*.
        """
        layers = self.encoder.layers.stepper(state[0] if len(state) == 1 else state)
        one = torch.ones(state[0].size(1), dtype=torch.int64)
        name = "numbers" if self.reads_frames else "tokens"

        @torch.inference_mode()
        def step(given: Tensor) -> Tensor:
            read = self.input_layer({name: Padded(given.unsqueeze(1), one)})
            return self.score(layers(read.data[:, 0]))

        return step

    def _hidden(self, batch: Batch, state: State | None, window: int | None) -> tuple[Padded, State]:
        if state is None and self.start is not None:
            state = self.start(batch.features["condition"])
        vectors = self._table(batch) if window is None else None
        if vectors is not None:
            hidden, final = self.encoder.read_tokens(batch.features["tokens"], vectors, state)
        else:
            steps = self.input_layer(batch.features)
            dropped = steps.with_data(self.input_dropout(steps.data))
            hidden, final = self.encoder(dropped, state, window=window)
        return hidden.with_data(self.output_dropout(hidden.data)), final

    def _table(self, batch: Batch) -> Tensor | None:
        """Return the vectors of all tokens, [V, E], where it saves time in training to read by a table."""
        layer = self.input_layer
        if not self.training or self.input_dropout.p > 0 or not isinstance(layer, WordEmbedding):
            return None
        tokens = batch.features.get("tokens")
        if tokens is None or layer.tokens.num_tokens * STEPS_FOR_A_TOKEN > tokens.data.numel():
            return None
        for module in (layer, layer.tokens, self.input_dropout, self.encoder, self.encoder.layers):
            if _is_watched(module):  # who watches is to see what modules usually get
                return None
        return layer.table()


def _is_watched(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
