"""Numbers in, numbers out: recurrent layers that take the place of torch.nn's, and what goes around them."""

from elman.nn.dropout import Regularisation
from elman.nn.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell", "Regularisation"]
