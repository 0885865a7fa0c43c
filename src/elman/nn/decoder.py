"""DECODER: write a sequence one token after the other, each given those before it and a memory of the source.

Shape legend: B rows (sentences, or beams of them), U steps of the target, S source time, E embedding,
H hidden, K features of the encoder's output, V vocabulary, L layers.

Where the recurrence does not need the attention's answer (multiplicative, none), a whole target is one call
of the layers, and the attention answers all its steps by two matrix products. Only additive attention, whose
context goes into the cell, and decoding itself go step by step; both ways give the same numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elman.cells import State
from elman.errors import ConfigError
from elman.nn.attention import Memory, make_attention
from elman.nn.dropout import DROPOUTS, NOTHING, Regularisation
from elman.nn.embedding import INITIAL_STD, TokenEmbedding
from elman.nn.encoder import Encoder
from elman.padded import Padded


@dataclass(frozen=True, eq=False)
class DecoderState:
    """Where each row's decoding stands.

    Args:
        parts: the state of the layers, each part [L, B, H].
        memory: what each row looks back at.
        sentence [B]: which sentence each row belongs to.
    """

    parts: State
    memory: Memory
    sentence: Tensor

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of these rows, in this order: of beams that changed places, or that go on."""
        rows = rows.to(self.sentence.device)
        sentence = self.sentence[rows]
        # Beams mostly change places within their sentence, and then what they look back at is the same.
        memory = self.memory if torch.equal(sentence, self.sentence) else self.memory.select(rows)
        return DecoderState(tuple(part[:, rows] for part in self.parts), memory, sentence)


class Bridge(nn.Module):
    """Turn the encoder's final state into the decoder's first: ``tanh(W [forward; backward] + b)``.

    One such layer for each layer of the decoder and each part of its state.

    Args:
        num_directions: of the encoder, 1 or 2.
        encoder_size: units of one direction of the encoder.
        hidden_size: units of the decoder.
        num_layers: of both.
        num_parts: parts of the state: 2 for the LSTM, else 1.

    Source: Bahdanau et al. 2015, appendix A.2.2 (theirs reads the backward direction alone).
    """

    def __init__(
        self, num_directions: int, encoder_size: int, hidden_size: int, *, num_layers: int, num_parts: int
    ) -> None:
        super().__init__()
        self.num_directions = num_directions
        sizes = [(num_directions * encoder_size, hidden_size)] * (num_layers * num_parts)
        self.linears = nn.ModuleList(nn.Linear(*size) for size in sizes)

    def forward(self, state: State) -> State:
        """Return each part [L, B, H] of the decoder's first state, of parts [L*D, B, H] of the encoder's."""
        parts = []
        for index, part in enumerate(state):
            layers = part.unflatten(0, (-1, self.num_directions)).transpose(1, 2).flatten(2)  # [L, B, D*H]
            own = self.linears[index :: len(state)]
            parts.append(torch.stack([torch.tanh(own[layer](row)) for layer, row in enumerate(layers)]))
        return tuple(parts)


class Decoder(nn.Module):
    """Give each token of a target a score, given the tokens before it and a memory of the source.

    ``h_t = cell([y_(t-1); c_t], h_(t-1))``, ``h~_t = tanh(W [c_t; h_t])``, ``scores_t = V h~_t``,
    where the context c_t goes into the cell for "additive" (asked with h_(t-1)) and "none" only, and for
    "multiplicative" is asked for with h_t.

    Args:
        num_tokens: of the target's vocabulary, V.
        embedding_size: numbers in a token's vector, E.
        hidden_size: units of each layer, H.
        encoder: whose outputs and final state are read.
        attention: "additive", "multiplicative", or "none".
        cell, num_layers, nonlinearity, init, memory_steps, forget_bias, regularisation: of the layers, as
            `Encoder` takes them.
        dropout: share of the embeddings, between layers, and of h~ switched off, in training.
        std: deviation of fresh token vectors.

    Raises:
        ConfigError: masks that last for a whole sequence were asked of a decoder that goes step by step, and
            would draw them anew at each step.

    Source: Bahdanau et al. 2015 (additive); Luong et al. 2015, eq. 5 to 8, without input feeding
    (multiplicative); Cho et al. 2014 and Sutskever et al. 2014 (none).

    Example:
        >>> encoder = Encoder(3, 4, bidirectional=True)
        >>> decoder = Decoder(9, 5, 6, encoder, attention="multiplicative")
        >>> state = decoder.begin(*encoder(Padded(torch.ones(2, 7, 3), torch.tensor([7, 2]))))
        >>> tokens = Padded(torch.zeros(2, 5, dtype=torch.long), torch.tensor([5, 3]))
        >>> hidden, weights = decoder(tokens, state)
        >>> decoder.scores(hidden).shape, weights.shape
        (torch.Size([8, 9]), torch.Size([2, 5, 7]))
    """

    def __init__(
        self,
        num_tokens: int,
        embedding_size: int,
        hidden_size: int,
        encoder: Encoder,
        *,
        attention: str = "multiplicative",
        cell: str = "lstm",
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        init: str = "torch",
        memory_steps: int | None = None,
        forget_bias: float | None = None,
        dropout: float = 0.0,
        std: float = INITIAL_STD,
        regularisation: Regularisation = NOTHING,
    ) -> None:
        super().__init__()
        key_size, directions = encoder.output_size, encoder.num_directions
        self.kind = attention
        self.feeds_context = attention != "multiplicative"
        self.goes_step_by_step = attention == "additive"
        if self.goes_step_by_step:
            _refuse_lasting_masks(regularisation)
        self.embedding = TokenEmbedding(num_tokens, embedding_size, std=std)
        self.attention = make_attention(attention, key_size, hidden_size, num_directions=directions)
        self.layers = Encoder(
            embedding_size + (key_size if self.feeds_context else 0),
            hidden_size,
            cell=cell,
            num_layers=num_layers,
            dropout=dropout,
            nonlinearity=nonlinearity,
            init=init,
            memory_steps=memory_steps,
            forget_bias=forget_bias,
            regularisation=regularisation,
        )
        self.bridge = Bridge(
            directions,
            key_size // directions,
            hidden_size,
            num_layers=num_layers,
            num_parts=2 if cell == "lstm" else 1,
        )
        self.dropout = DROPOUTS[regularisation.dropout_kind](dropout)
        self.combine = nn.Linear(key_size + hidden_size, hidden_size, bias=False)
        self.output = nn.Linear(hidden_size, num_tokens)

    def begin(self, steps: Padded, final: State) -> DecoderState:
        """Return the state before the first token.

        Args:
            steps: the encoder's outputs, Padded *[B, S, K]*.
            final: its final state, each part *[L*D, B, H]*.
        """
        rows = torch.arange(steps.data.size(0), device=steps.data.device)
        return DecoderState(self.bridge(final), self.attention.prepare(steps), rows)

    def forward(self, tokens: Padded, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Return h~ of all real steps, [N, H], row by row, and the attention's weights, [B, U, S].

        Args:
            tokens: what is read at each step, ids, Padded *[B, U]*.
            state: where to start.
        """
        if self.goes_step_by_step:
            hidden, weights = [], []
            for step in range(tokens.data.size(1)):
                combined, weight, state = self._step(tokens.data[:, step], state)
                hidden.append(combined)
                weights.append(weight)
            return tokens.with_data(torch.cat(hidden, 1)).real_steps(), torch.cat(weights, 1)
        inputs = self.dropout(self.embedding(tokens.data))
        if self.feeds_context:
            inputs = torch.cat((inputs, self.attention.attend(state.memory, inputs)[0]), 2)
        outputs, _ = self.layers(tokens.with_data(inputs), state.parts)
        context, weights_BUS = self.attention.attend(state.memory, outputs.data)
        return tokens.with_data(self._combine(context, outputs.data)).real_steps(), weights_BUS

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """Return h~ [B, H] after the tokens [B], the weights [B, S], and the state after that step."""
        combined, weights, state = self._step(tokens, state)
        return combined.squeeze(1), weights.squeeze(1), state

    def scores(self, hidden: Tensor) -> Tensor:
        """Return unnormalised scores of the next token, [..., V], of h~ [..., H]."""
        scores: Tensor = self.output(hidden)
        return scores

    def _step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        inputs = self.dropout(self.embedding(tokens.unsqueeze(1)))
        memory = state.memory
        if self.feeds_context:
            context, weights = self.attention.attend(memory, state.parts[0][-1].unsqueeze(1))
            inputs = torch.cat((inputs, context), 2)
        outputs, parts = self.layers(_whole(inputs), state.parts)
        if not self.feeds_context:
            context, weights = self.attention.attend(memory, outputs.data)
        return self._combine(context, outputs.data), weights, DecoderState(parts, memory, state.sentence)

    def _combine(self, context: Tensor, outputs: Tensor) -> Tensor:
        combined: Tensor = self.dropout(torch.tanh(self.combine(torch.cat((context, outputs), -1))))
        return combined


def _refuse_lasting_masks(regularisation: Regularisation) -> None:
    if regularisation.draws_once:
        raise ConfigError(
            "dropout_kind variational, recurrent_dropout and weight_drop keep their masks for a whole "
            "sequence, but a decoder with additive attention is called step by step; choose --attention "
            "multiplicative, or leave them out."
        )


def _whole(data: Tensor) -> Padded:
    """Return rows without padding, or whose padding may be read: it stands after everything of interest."""
    return Padded(data, torch.full((data.size(0),), data.size(1)))
