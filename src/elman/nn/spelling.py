"""SPELLING: how the letters of a word become one vector, read by a recurrent layer or by a convolution.

Shape legend: U distinct word forms of the batch, C characters of a form, V characters in the vocabulary,
E numbers in a character's vector, F filters, W width of a filter.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.config import unknown_name
from elman.errors import ConfigError
from elman.nn.layers import GRU, LSTM, RNN
from elman.nn.pooling import LastPooling
from elman.padded import Padded

CONVOLUTION_WIDTHS = (3, 5)


class RecurrentReader(nn.Module):
    """Read a word from both ends; its vector is the two final states side by side.

    Args:
        input_size: E.
        size: numbers in the word's vector, half of them of each direction.
        cell: "rnn", "gru" or "lstm".

    Raises:
        ConfigError: an unknown cell.

    Source: Ling et al. 2015, Finding function in form; Lample et al. 2016, section 4.1.
    """

    def __init__(self, input_size: int, size: int, cell: str) -> None:
        super().__init__()
        layers = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
        if cell not in layers:
            raise ConfigError(unknown_name("cell", cell, list(layers)))
        self.layer = layers[cell](input_size, size // 2, batch_first=True, bidirectional=True)
        self.pooling = LastPooling(size, num_directions=2)

    def forward(self, spellings: Padded, vectors: Tensor) -> Tensor:
        """Return a vector a word, [U, size].

        Args:
            spellings: character ids, Padded *[U, C]*.
            vectors: of the characters, *[V, E]*.
        """
        output, _ = self.layer(functional.embedding(spellings.data, vectors), lengths=spellings.lengths)
        summary: Tensor = self.pooling(spellings.with_data(output))
        return summary


class ConvolutionReader(nn.Module):
    """Slide filters over a word; its vector is the largest value that each one finds.

    ``y_f = relu(max_t (b_f + sum_w W_fw . vector(character t + w)))``, with zeros around the word, so that it
    may be shorter than a filter.

    A filter meets the same few characters everywhere: each product of a filter's column and a character's
    vector is computed once, V x W of them, and the sliding is additions alone. The gradient then follows
    only the places where the maxima stand. Same as `nn.Conv1d` and a maximum over time.

    Args:
        input_size: E.
        size: filters, the same number of each width.

    Source: Ma and Hovy 2016, section 2.1.
    """

    def __init__(self, input_size: int, size: int) -> None:
        super().__init__()
        self.filters = nn.ModuleList(
            nn.Conv1d(input_size, size // len(CONVOLUTION_WIDTHS), width) for width in CONVOLUTION_WIDTHS
        )

    def forward(self, spellings: Padded, vectors: Tensor) -> Tensor:
        """Return a vector a word, [U, size]; zeros for a word without characters.

        Args:
            spellings: character ids, Padded *[U, C]*.
            vectors: of the characters, *[V, E]*.
        """
        outside = len(vectors)
        ids_UC = spellings.masked(outside).data
        mask_UC = spellings.mask
        found = [
            _largest(ids_UC, mask_UC, vectors, layer)
            for layer in self.filters
            if isinstance(layer, nn.Conv1d)
        ]
        # relu after the maximum: the same as before it, on one vector a word instead of one a character.
        return torch.where(mask_UC.any(1, keepdim=True), torch.relu(torch.cat(found, 1)), 0.0)


def _largest(ids_UC: Tensor, mask_UC: Tensor, vectors_VE: Tensor, layer: nn.Conv1d) -> Tensor:
    """Return the largest value of each filter over the places of each word, [U, F]; ids of V are outside."""
    weight_FEW, bias_F = layer.weight, layer.bias
    assert bias_F is not None
    width, outside = weight_FEW.size(2), len(vectors_VE)
    table_WVF = torch.matmul(vectors_VE, weight_FEW.permute(2, 1, 0))
    table_WVF = functional.pad(table_WVF, (0, 0, 0, 1))  # outside the word are zeros
    around_UC = functional.pad(ids_UC, (width // 2, width // 2), value=outside)
    with torch.no_grad():
        rows = around_UC.unfold(1, width, 1) + (outside + 1) * torch.arange(width, device=ids_UC.device)
        sums = functional.embedding_bag(rows.reshape(-1, width), table_WVF.flatten(0, 1), mode="sum")
        sums_UCF = sums.view(*ids_UC.shape, -1).masked_fill_(~mask_UC.unsqueeze(2), -torch.inf)
        place_UF = sums_UCF.max(1).indices  # four times as fast as argmax(1)
    terms = [table_WVF[w].gather(0, around_UC.gather(1, place_UF + w)) for w in range(width)]
    return torch.stack(terms).sum(0) + bias_F
