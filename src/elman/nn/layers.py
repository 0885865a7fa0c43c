"""Recurrent layers that take the place of torch.nn's, and also take lengths and resets.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

Same arguments, parameter names, first draws, results and errors as torch.nn; what is new is keyword-only.
The equations are in elman.cells; what the layers share is in elman.nn.recurrent.
"""

from __future__ import annotations

import torch
from torch import _VF, Tensor
from torch.nn import RNNCellBase

from elman.errors import ConfigError
from elman.nn.dropout import Regularisation
from elman.nn.recurrent import Given, Lengths, RecurrentLayer

Device = torch.device | str | int | None
Pair = tuple[Tensor, Tensor]
_MISSING = object()  # torch.nn.RNN and GRU refuse proj_size even when it is 0


class RNN(RecurrentLayer):
    """Run an Elman network over sequences; takes the place of torch.nn.RNN.

    ``h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)``, or relu in place of tanh.

    Args:
        input_size: features of the input, I.
        hidden_size: features of the hidden state, H.
        num_layers: layers on top of each other, L; each reads the output of the one below.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...]; the state never is.
        dropout: probability of zeroing an output between two layers, in training.
        bidirectional: also run from the end of each row to its start (D = 2).
        device, dtype: of the parameters.
        initial_state: where a row starts when no state is given: "zeros"; "random" (in training a new
            normal draw each call, standard deviation 0.1, and zeros otherwise); or "learned" (parameters
            initial_hidden [L*D, H], zero at first).
        regularisation: weight drop, zoneout, layer norm and their like, see `Regularisation`; None: none.

    `forward(input, hx=None, *, lengths=None, reset=None)` takes

        input: [T, B, I], or [B, T, I] if batch_first, or [T, I], or a PackedSequence.
        hx [L*D, B, H]: the initial state; the backward direction starts from its own at the row's end.
        lengths [B]: steps, 0..T, unsorted. What stands beyond a length changes nothing, the output there
            is zero, the final state is the one at the length. Not for PackedSequence.
        reset [B, T] bool: True at t cuts the row between t-1 and t, for both directions: what follows
            starts from the layer's own initial state. Whatever batch_first.

    and gives (output [T, B, D*H] or [B, T, D*H], final state [L*D, B, H]).

    Raises:
        ShapeError: lengths or reset do not fit the input, or come with a PackedSequence.
        RuntimeError, ValueError: whatever torch.nn.RNN raises, in the same cases.

    Source: Elman 1990; see elman.cells.rnn_step.

    Example:
        >>> output, hidden = RNN(3, 4, batch_first=True)(torch.ones(2, 5, 3), lengths=[5, 2])
        >>> output.shape, hidden.shape
        (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        initial_state: str = "zeros",
        regularisation: Regularisation | None = None,
        proj_size: object = _MISSING,
    ) -> None:
        _refuse_projection(proj_size)
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ConfigError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        place = {"device": device, "dtype": dtype}
        super().__init__(modes[nonlinearity], sizes, place, initial_state, None, regularisation)

    def forward(
        self, input: Given, hx: Tensor | None = None, *, lengths: Lengths = None, reset: Tensor | None = None
    ) -> tuple[Given, Tensor]:
        """Run over a batch, as the class describes."""
        output, state = self._run(input, None if hx is None else (hx,), lengths, reset)
        return output, state[0]


class GRU(RecurrentLayer):
    """Run a gated recurrent unit over sequences; takes the place of torch.nn.GRU.

    ::

        r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)
        z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)
        n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_(t-1) + b_hn))
        h_t = (1 - z_t) * n_t + z_t * h_(t-1)

    Args and `forward`: as for RNN, without nonlinearity.

    Source: Cho et al. 2014 in torch's variant; see elman.cells.gru_step.

    Example:
        >>> layer = GRU(3, 4, bidirectional=True)
        >>> cut = torch.tensor([[False, False, True, False, False]])
        >>> layer(torch.ones(5, 1, 3), reset=cut)[0].shape
        torch.Size([5, 1, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        initial_state: str = "zeros",
        regularisation: Regularisation | None = None,
        proj_size: object = _MISSING,
    ) -> None:
        _refuse_projection(proj_size)
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        place = {"device": device, "dtype": dtype}
        super().__init__("GRU", sizes, place, initial_state, None, regularisation)

    def forward(
        self, input: Given, hx: Tensor | None = None, *, lengths: Lengths = None, reset: Tensor | None = None
    ) -> tuple[Given, Tensor]:
        """Run over a batch, as RNN describes."""
        output, state = self._run(input, None if hx is None else (hx,), lengths, reset)
        return output, state[0]


class LSTM(RecurrentLayer):
    """Run a long short-term memory over sequences; takes the place of torch.nn.LSTM.

    ::

        i_t, f_t, o_t = sigmoid(W_i. x_t + b_i. + W_h. h_(t-1) + b_h.)     g_t = tanh(likewise)
        c_t = f_t * c_(t-1) + i_t * g_t
        h_t = o_t * tanh(c_t)

    Args and `forward`: as for RNN, without nonlinearity, and with

        proj_size: features of the projected hidden state, below hidden_size; 0 for no projection.
        forget_bias: value to start the forget gates' part of bias_ih from, 1 for instance; None leaves
            torch's draw. The other bias, bias_hh, keeps its draw.

    The state is a pair (hidden [L*D, B, proj_size or H], cell [L*D, B, H]), as is a learned initial state.

    Raises:
        ConfigError: forget_bias without biases.

    Source: Hochreiter and Schmidhuber 1997, Gers et al. 2000, Sak et al. 2014; see elman.cells.lstm_step.
    Forget bias: Jozefowicz et al. 2015, An empirical exploration of recurrent network architectures.

    Example:
        >>> layer = LSTM(3, 4, forget_bias=1.0)
        >>> output, (hidden, cell) = layer(torch.ones(5, 2, 3), lengths=[5, 0])
        >>> hidden[0, 1].tolist(), layer.bias_ih_l0[4:8].tolist()
        ([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        initial_state: str = "zeros",
        regularisation: Regularisation | None = None,
        forget_bias: float | None = None,
    ) -> None:
        if forget_bias is not None and not bias:
            raise ConfigError(f"forget_bias is {forget_bias} but there are no biases; expected bias=True")
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        place = {"device": device, "dtype": dtype}
        super().__init__("LSTM", sizes, place, initial_state, forget_bias, regularisation)

    def forward(
        self, input: Given, hx: Pair | None = None, *, lengths: Lengths = None, reset: Tensor | None = None
    ) -> tuple[Given, Pair]:
        """Run over a batch, as RNN describes."""
        output, state = self._run(input, None if hx is None else (hx[0], hx[1]), lengths, reset)
        return output, (state[0], state[1])


def _refuse_projection(proj_size: object) -> None:
    if proj_size is not _MISSING:
        raise ConfigError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNNCell(RNNCellBase):
    """Take one step of an Elman network at a time; takes the place of torch.nn.RNNCell.

    Args:
        input_size, hidden_size, bias, nonlinearity, device, dtype: as for RNN.

    `forward(input [B, I] or [I], hx [B, H] or [H] = zeros)` gives the next hidden state.

    Example:
        >>> RNNCell(3, 4)(torch.ones(2, 3)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step."""
        kernels = {"tanh": _VF.rnn_tanh_cell, "relu": _VF.rnn_relu_cell}
        _check_cell_dim("RNNCell", "input", input)
        if hx is not None:
            _check_cell_dim("RNNCell", "hidden", hx)
        if self.nonlinearity not in kernels:  # as in torch, found at the first step and not before
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        hx = _zeros(input, self.hidden_size) if hx is None else hx
        return _step(kernels[self.nonlinearity], self, input, hx)


class GRUCell(RNNCellBase):
    """Take one step of a gated recurrent unit at a time; takes the place of torch.nn.GRUCell.

    Args and `forward`: as for RNNCell, without nonlinearity.

    Example:
        >>> GRUCell(3, 4)(torch.ones(3)).shape
        torch.Size([4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step."""
        _check_cell_dim("GRUCell", "input", input)
        if hx is not None:
            _check_cell_dim("GRUCell", "hidden", hx)
        hx = _zeros(input, self.hidden_size) if hx is None else hx
        return _step(_VF.gru_cell, self, input, hx)


class LSTMCell(RNNCellBase):
    """Take one step of a long short-term memory at a time; takes the place of torch.nn.LSTMCell.

    Args and `forward`: as for GRUCell; the state is a pair (hidden, cell).

    Example:
        >>> hidden, cell = LSTMCell(3, 4)(torch.ones(2, 3))
        >>> cell.shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Pair | None = None) -> Pair:
        """Take one step."""
        _check_cell_dim("LSTMCell", "input", input)
        if hx is None:
            zeros = _zeros(input, self.hidden_size)
            hx = (zeros, zeros)
        for index, part in enumerate(hx):
            _check_cell_dim("LSTMCell", f"hx[{index}]", part)
        if input.dim() == 2:
            return _VF.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        row = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        hidden, cell = _VF.lstm_cell(
            input.unsqueeze(0), row, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        )
        return hidden.squeeze(0), cell.squeeze(0)


def _check_cell_dim(kind: str, name: str, value: Tensor) -> None:
    if value.dim() not in (1, 2):
        raise ValueError(f"{kind}: Expected {name} to be 1D or 2D, got {value.dim()}D instead")


def _zeros(input: Tensor, size: int) -> Tensor:
    return torch.zeros(*input.shape[:-1], size, dtype=input.dtype, device=input.device)


def _step(kernel, cell: RNNCellBase, input: Tensor, hx: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """Run one of torch's one-step kernels, on a batch of one if the input is a single vector."""
    weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
    if input.dim() == 2:
        return kernel(input, hx, *weights)
    return kernel(input.unsqueeze(0), hx.unsqueeze(0), *weights).squeeze(0)
