"""TRANSLATE: many-to-many, unaligned. A sequence goes in, another one of a length of its own comes out.

Shape legend: B batch, U steps of the target (its stop token among them), S source time, H hidden,
V vocabulary, N real steps of all targets together.
"""

import torch
from torch import Tensor, nn

from elman.losses import cross_entropy
from elman.nn.decoder import Decoder, DecoderState
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern
from elman.search.beam_search import Hypothesis, search

START, STOP = 2, 3
"""Ids of what a target begins after and ends with, in every vocabulary of targets."""

FORBIDDEN = (0, 1, START)
"""What is never written: padding, the unknown token, the start."""


class EncoderDecoder(Pattern):
    """Read a sequence, and write another one token by token until it writes the stop token.

    input layer -> dropout -> encoder -> bridge, attention -> decoder -> linear

    Args:
        input_layer, encoder: see `Pattern`.
        decoder: what writes, made for this encoder.
        dropout: of the input layer's output; the decoder has its own.
        label_smoothing: share of the right token's probability that is asked for all tokens alike, in the
            training loss alone.

    Source: Sutskever et al. 2014; Cho et al. 2014; Bahdanau et al. 2015; Luong et al. 2015.

    Example:
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import TokenEmbedding, WordEmbedding
        >>> encoder = Encoder(3, 4, bidirectional=True)
        >>> decoder = Decoder(7, 3, 8, encoder)
        >>> pattern = EncoderDecoder(WordEmbedding(TokenEmbedding(9, 3)), encoder, decoder).eval()
        >>> tokens = Padded(torch.ones(2, 4, dtype=torch.long), torch.tensor([4, 2]))
        >>> batch = SimpleNamespace(features={"tokens": tokens}, target=tokens.with_data(tokens.data * 4))
        >>> pattern.scores(batch).data.shape, len(pattern.decode(batch, width=3, max_length=5))
        (torch.Size([2, 4, 7]), 2)
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        decoder: Decoder,
        *,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=None)
        self.decoder = decoder
        self.label_smoothing = label_smoothing

    def scores(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return unnormalised scores of each token, given the right ones before it, Padded [B, U, V]."""
        target, state = batch.target, self.begin(batch, window=window)
        scores_NV = self.decoder.scores(self.decoder(target.with_data(after_start(target.data)), state)[0])
        scores_BUV = scores_NV.new_zeros(*target.data.shape, scores_NV.size(1))
        return target.with_data(scores_BUV.masked_scatter(target.mask.unsqueeze(2), scores_NV))

    def attention_weights(self, batch: Batch) -> Padded:
        """Return where the decoder looks while it is led through the target, Padded [B, U, S]."""
        target = batch.target
        return target.with_data(
            self.decoder(target.with_data(after_start(target.data)), self.begin(batch))[1]
        )

    def loss(self, batch: Batch, *, window: int | None = None, truth_rate: float = 1.0) -> Tensor:
        """Return the mean label-smoothed cross entropy of the target's tokens, the stop token among them.

        Args:
            batch: its target holds ids that end with `STOP`, Padded *[B, U]*.
            window: see `Pattern.scores`; of the encoder.
            truth_rate: probability of reading the right former token; otherwise the decoder's own likeliest
                one is read, drawn anew for each token. 1: teacher forcing.
        """
        target, state = batch.target, self.begin(batch, window=window)
        if truth_rate < 1.0:
            hidden_NH = target.with_data(self._sampled(target.data, state, truth_rate)).real_steps()
        else:
            hidden_NH = self.decoder(target.with_data(after_start(target.data)), state)[0]
        scores_NV = self.decoder.scores(hidden_NH)
        smoothing = self.label_smoothing if self.training else 0.0
        return cross_entropy(scores_NV, target.real_steps(), label_smoothing=smoothing)

    def decode(
        self, batch: Batch, *, width: int, max_length: int, length_penalty: float = 0.0, n_best: int = 1
    ) -> list[list[Hypothesis]]:
        """Return the best outputs that beam search finds for each row, the best first.

        Args:
            batch: only its features are looked at.
            width, max_length, length_penalty, n_best: see `search`.
        """
        state = self.begin(batch)
        with torch.no_grad():
            return search(
                self.next_log_probabilities,
                state,
                num_rows=state.sentence.numel(),
                start=START,
                stop=STOP,
                width=width,
                max_length=max_length,
                length_penalty=length_penalty,
                n_best=n_best,
                forbidden=FORBIDDEN,
            )

    def begin(self, batch: Batch, *, window: int | None = None) -> DecoderState:
        """Return the decoder's state before its first token."""
        steps = self.input_layer(batch.features)
        outputs, final = self.encoder(steps.with_data(self.input_dropout(steps.data)), window=window)
        return self.decoder.begin(outputs, final)

    def next_log_probabilities(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Return the log-probability of each next token [B, V], and the state after the tokens [B]."""
        hidden_BH, _, state = self.decoder.step(tokens.to(state.sentence.device), state)
        return self.decoder.scores(hidden_BH).log_softmax(1), state

    def _sampled(self, target: Tensor, state: DecoderState, truth_rate: float) -> Tensor:
        """Return h~ [B, U, H] where each former token is the right one or the decoder's own."""
        right = after_start(target)
        is_right = torch.rand(target.shape, device=target.device) < truth_rate
        hidden, tokens = [], right[:, 0]
        for step in range(target.size(1)):
            hidden_BH, _, state = self.decoder.step(tokens, state)
            hidden.append(hidden_BH)
            if step + 1 < target.size(1):
                own = self.decoder.scores(hidden_BH.detach()).argmax(1)
                tokens = torch.where(is_right[:, step + 1], right[:, step + 1], own)
        return torch.stack(hidden, 1)


def after_start(target: Tensor) -> Tensor:
    """Return what the decoder reads to write the target [B, U]: the start, then all but its last token.

    Example:
        >>> after_start(torch.tensor([[7, 8, 3]])).tolist()
        [[2, 7, 8]]
    """
    return torch.cat((torch.full_like(target[:, :1], START), target[:, :-1]), 1)
