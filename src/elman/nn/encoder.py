"""ENCODER: recurrent layers that read a padded batch, and know where to cut the gradient.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.
"""

from typing import Any

import torch
from torch import Tensor, nn

from elman.cells import State
from elman.config import unknown_name
from elman.errors import ConfigError
from elman.nn.dropout import NOTHING, Regularisation
from elman.nn.initialise import initialise
from elman.nn.layers import GRU, LSTM, RNN
from elman.padded import Padded

LAYERS: dict[str, type[RNN] | type[GRU] | type[LSTM]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Encoder(nn.Module):
    """Read sequences by recurrent layers: what each step looks like, given what was read before (and after).

    Args:
        input_size: features of a step, I.
        hidden_size: units of each layer and direction, H.
        cell: "rnn", "gru" or "lstm".
        num_layers: layers on top of each other, L.
        bidirectional: also read from the end to the start (D = 2).
        dropout: share of the outputs switched off between layers, in training.
        initial_state: "zeros", "random" or "learned"; see `elman.nn.RNN`.
        nonlinearity: "tanh" or "relu", for the rnn cell.
        init: how recurrent weights start, one of `INITIALISERS`.
        memory_steps: how far back a chrono start remembers; see `draw_chrono`.
        forget_bias: where the LSTM's forget gates start; None leaves torch's draw.
        regularisation: what is done inside and between the layers, see `Regularisation`.

    Attributes:
        input_size: I.
        output_size: features of a step of the output, D*H.
        num_directions: D.
        dropout_kind: one of `DROPOUTS`.

    Raises:
        ConfigError: an unknown cell or init, or an init that this cell cannot take; relu for a cell that has
            no such choice; a forget bias without a forget gate.

    Example:
        >>> encoder = Encoder(3, 4, cell="gru", bidirectional=True)
        >>> steps, (hidden,) = encoder(Padded(torch.ones(2, 5, 3), torch.tensor([5, 2])))
        >>> steps.data.shape, hidden.shape
        (torch.Size([2, 5, 8]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        initial_state: str = "zeros",
        nonlinearity: str = "tanh",
        init: str = "torch",
        memory_steps: int | None = None,
        forget_bias: float | None = None,
        regularisation: Regularisation = NOTHING,
    ) -> None:
        super().__init__()
        special = _special_arguments(cell, nonlinearity, forget_bias)
        self.layers = LAYERS[cell](
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            # torch warns of dropout that has no second layer to act before.
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
            initial_state=initial_state,
            regularisation=regularisation,
            **special,
        )
        initialise(self.layers, init, memory_steps=memory_steps)
        self.dropout_kind = regularisation.dropout_kind
        self.input_size = input_size
        self.num_directions = 2 if bidirectional else 1
        self.output_size = self.num_directions * hidden_size

    def forward(
        self, steps: Padded, state: State | None = None, *, window: int | None = None
    ) -> tuple[Padded, State]:
        """Return the top layer's outputs, Padded [B, T, D*H], and the final state, each part [L*D, B, H].

        Args:
            steps: Padded *[B, T, I]*.
            state: where to start; by default the layers' own initial state.
            window: steps after which the gradient is cut (truncated backpropagation through time); values are
                the same for any window (but dropout between layers draws anew for each). None: never.

        Raises:
            ConfigError: a window for two directions, or one below 1.
        """
        if window is None:
            return self._read(steps.data, steps.lengths, state)
        self._check_window(window)
        outputs = []
        for start in range(0, max(steps.data.size(1), 1), window):
            piece = steps.data[:, start : start + window]
            lengths = (steps.lengths - start).clamp(0, piece.size(1))
            output, state = self._read(piece, lengths, state)
            outputs.append(output.data)
            # Rows that end here keep their graph: their final state is a result, not a state passed on.
            is_going_on = (steps.lengths > start + window).to(piece.device).unsqueeze(1)
            state = tuple(torch.where(is_going_on, part.detach(), part) for part in state)
        assert state is not None
        return steps.with_data(torch.cat(outputs, 1)), state

    def read_tokens(
        self, tokens: Padded, vectors: Tensor, state: State | None = None
    ) -> tuple[Padded, State]:
        """Return what `forward` returns of the tokens' vectors, sooner if there are fewer tokens than steps.

        Args:
            tokens: ids, Padded *[B, T]* of at least one step; each below V.
            vectors: of all tokens, *[V, I]*.
            state: see `forward`.
        """
        hidden, final = self.layers.read_tokens(tokens.data, vectors, state, lengths=tokens.lengths)
        return Padded(hidden, tokens.lengths), final

    def _read(self, data: Tensor, lengths: Tensor, state: State | None) -> tuple[Padded, State]:
        """Run the layers; the state is a tuple of parts whatever the cell."""
        if data.size(1) == 0:  # the layers refuse it, as torch's do: read one step of padding, and forget it
            output, final = self._read(data.new_zeros(data.size(0), 1, data.size(2)), lengths, state)
            return Padded(output.data[:, :0], lengths), final
        if isinstance(self.layers, LSTM):
            hidden, pair = self.layers(data, state, lengths=lengths)
            return Padded(hidden, lengths), tuple(pair)
        hidden, last = self.layers(data, None if state is None else state[0], lengths=lengths)
        return Padded(hidden, lengths), (last,)

    def _check_window(self, window: int) -> None:
        if self.num_directions == 2:
            raise ConfigError(
                "a window of truncated backpropagation was given to a bidirectional encoder, whose backward "
                "direction starts at the end; use one direction (--no-bidirectional) or no --bptt-window."
            )
        if window < 1:
            raise ConfigError(f"window is {window}; expected 1 or more steps.")


def _special_arguments(cell: str, nonlinearity: str, forget_bias: float | None) -> dict[str, Any]:
    """Give the arguments that only this cell takes, or say that it takes none."""
    if cell not in LAYERS:
        raise ConfigError(unknown_name("cell", cell, list(LAYERS)))
    if cell == "rnn":
        special: dict[str, Any] = {"nonlinearity": nonlinearity}
    elif nonlinearity != "tanh":
        raise ConfigError(
            f"nonlinearity {nonlinearity!r} is for the rnn cell, but the cell is {cell}; leave it out."
        )
    else:
        special = {"forget_bias": forget_bias} if cell == "lstm" else {}
    if forget_bias is not None and cell != "lstm":
        raise ConfigError(f"forget_bias is for the lstm cell, but the cell is {cell}; leave it out.")
    return special
