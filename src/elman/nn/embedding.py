"""EMBEDDING: what the network is given in the place of a token, a word's spelling, or a row of numbers.

Shape legend: B batch, T time, E features of a step, V vocabulary, U distinct word forms of the batch,
C characters of a form.

`WordEmbedding` and `NumberInput` are the two input layers: they take a batch's features by name and give one
Padded [B, T, E]. The others are what they are made of.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.config import unknown_name
from elman.errors import ConfigError, ShapeError
from elman.nn.spelling import ConvolutionReader, RecurrentReader
from elman.padded import Padded

PADDING, UNKNOWN = 0, 1
"""Ids of the two special tokens of every vocabulary of inputs."""

EMBEDDINGS = ("trainable", "sparse", "frozen", "one-hot")

INITIAL_STD = 0.1
"""Deviation of a fresh vector's numbers: small, so words seen once say little (torch draws 1)."""

FREQUENT_STD, FEW_TOKENS = 1.0, 500
"""Of a vocabulary this small every token is frequent, and a network that can tell them apart from the first
step learns faster: on tinyshakespeare validation is 0.4 nats better after a pass than from 0.1."""


def vector_std(num_tokens: int) -> float:
    """Return the deviation of fresh vectors of a vocabulary whose tokens are used as often as they come.

    Example:
        >>> vector_std(40), vector_std(10_000)
        (1.0, 0.1)
    """
    return FREQUENT_STD if num_tokens < FEW_TOKENS else INITIAL_STD


class TokenEmbedding(nn.Module):
    """Give each token a vector; padding (id 0) gives zeros and never moves.

    Args:
        num_tokens: size of the vocabulary, V, special tokens included.
        size: numbers in a vector, E; for one-hot it is V, and may be left out.
        kind: "trainable"; "sparse", whose gradient holds only the rows in use; "frozen"; "one-hot".
        vectors [V, E]: where to start, instead of normal draws.
        counts [V]: how often training saw each token, for `unknown_rate`.
        std: deviation of the draws.
        unknown_rate: in training, a token seen n times is read as the unknown one with probability
            ``a / (a + n)``; 0: never. The draws come from torch's global generator, as dropout's do.

    Attributes:
        output_size: E.

    Raises:
        ConfigError: an unknown kind; no size; an unknown rate without counts.
        ShapeError: vectors or counts of another size.

    Source: unknown replacement: Kiperwasser and Goldberg 2016, section 4.2 (their alpha is 0.25).

    Example:
        >>> embedding = TokenEmbedding(5, 3)
        >>> embedding(torch.tensor([[4, 0]]))[0, 1]
        tensor([0., 0., 0.], grad_fn=...)
    """

    unit: Tensor
    hiding: Tensor

    def __init__(
        self,
        num_tokens: int,
        size: int | None = None,
        *,
        kind: str = "trainable",
        vectors: Tensor | None = None,
        counts: Tensor | None = None,
        unknown_rate: float = 0.0,
        std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        if kind not in EMBEDDINGS:
            raise ConfigError(unknown_name("embedding", kind, list(EMBEDDINGS)))
        self.kind = kind
        if kind == "one-hot":
            size = num_tokens if size is None else size
            if size != num_tokens or vectors is not None:
                raise ConfigError(
                    f"one-hot vectors have one number a token, {num_tokens}; leave out size and vectors."
                )
            # Nothing to learn, and yet the module must know its dtype and device.
            self.register_buffer("unit", torch.ones(()), persistent=False)
        else:
            self.weight = _make_vectors(num_tokens, size, vectors, std)
            self.weight.requires_grad_(kind != "frozen")
            size = self.weight.size(1)
        self.num_tokens = num_tokens
        self.output_size = size
        hiding = _hiding_probabilities(num_tokens, counts, unknown_rate)
        self.register_buffer("hiding", hiding, persistent=False)
        self.hides = unknown_rate > 0

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors, [..., E].

        Args:
            ids: int64, any shape, 0..V-1.
        """
        if self.training and self.hides:
            is_hidden = torch.rand(ids.shape, device=ids.device) < self.hiding[ids]
            ids = torch.where(is_hidden, UNKNOWN, ids)
        if self.kind == "one-hot":
            places = torch.arange(self.num_tokens, device=ids.device)
            return ((ids.unsqueeze(-1) == places) & (places != PADDING)).to(self.unit.dtype)
        return functional.embedding(ids, self.weight, padding_idx=PADDING, sparse=self.kind == "sparse")

    def extra_repr(self) -> str:
        """Describe the sizes and the kind."""
        return f"{self.num_tokens}, {self.output_size}, kind={self.kind!r}"


class CharacterSummary(nn.Module):
    """Make one vector of the spelling of each word.

    Args:
        num_characters: size of the vocabulary of characters.
        size: numbers in the vector: of each direction half (recurrent), of each width half (convolution).
        kind: "recurrent", the final states of a recurrent layer that reads the word from both ends, or
            "convolution", the largest value that filters 3 and 5 characters wide find anywhere in it.
        embedding_size: numbers in a character's vector.
        cell: of the recurrent kind: "rnn", "gru" or "lstm".

    Attributes:
        output_size: numbers in a word's vector.

    Raises:
        ConfigError: an unknown kind or cell, or an odd size.

    Source: see the two readers in spelling.py.

    Example:
        >>> summary = CharacterSummary(30, 50, kind="convolution")
        >>> summary(Padded(torch.ones(2, 6, dtype=torch.long), torch.tensor([6, 1]))).shape
        torch.Size([2, 50])
    """

    def __init__(
        self,
        num_characters: int,
        size: int,
        *,
        kind: str = "recurrent",
        embedding_size: int = 32,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        if size % 2:
            raise ConfigError(
                f"the size of a character summary is {size}; expected an even number, two halves."
            )
        self.embedding = TokenEmbedding(num_characters, embedding_size)
        self.output_size = size
        self.reader: nn.Module
        if kind == "recurrent":
            self.reader = RecurrentReader(embedding_size, size, cell)
        elif kind == "convolution":
            self.reader = ConvolutionReader(embedding_size, size)
        else:
            raise ConfigError(unknown_name("character summary", kind, ["recurrent", "convolution"]))

    def forward(self, spellings: Padded) -> Tensor:
        """Return a vector a word, [U, size]; zeros for a word without characters.

        Args:
            spellings: character ids, Padded *[U, C]*.
        """
        if spellings.data.numel() == 0:
            return self.embedding.weight.new_zeros(spellings.data.size(0), self.output_size)
        summary: Tensor = self.reader(spellings, self.embedding.weight)
        return summary


class WordEmbedding(nn.Module):
    """Give each word its vector, and beside it the summary of its spelling: an input layer.

    Args:
        tokens: what gives a token its vector.
        characters: what gives a spelling its vector; None for tokens alone.
        pairs: what gives each pair of neighbouring tokens a vector, of the size of a token's, that is added
            to the second one's; None for none.

    Attributes:
        output_size: E, of words and spellings together.

    Raises:
        ConfigError: vectors of pairs and of tokens have different sizes.

    Source: pairs: Joulin et al. 2017, Bag of tricks for efficient text classification, section 2.2.

    `forward(features)` takes "tokens", Padded [B, T], and, where spellings are read, "spellings",
    Padded [U, C], the distinct word forms of the batch, and "spelling_of", Padded [B, T], which of them each
    word is; where pairs are read, "pairs", Padded [B, T]. It gives Padded [B, T, E].

    Example:
        >>> words = WordEmbedding(TokenEmbedding(9, 4), CharacterSummary(7, 6))
        >>> one = Padded(torch.zeros(1, 3, dtype=torch.long), torch.tensor([3]))
        >>> words({"tokens": one, "spellings": one, "spelling_of": one}).data.shape
        torch.Size([1, 3, 10])
    """

    def __init__(
        self,
        tokens: TokenEmbedding,
        characters: CharacterSummary | None = None,
        pairs: TokenEmbedding | None = None,
    ) -> None:
        super().__init__()
        if pairs is not None and pairs.output_size != tokens.output_size:
            raise ConfigError(
                f"a pair's vector has {pairs.output_size} numbers and a token's {tokens.output_size}; "
                "they are added, so make them alike."
            )
        self.pairs = pairs
        self.tokens = tokens
        self.characters = characters
        self.output_size = tokens.output_size + (characters.output_size if characters else 0)

    def table(self) -> Tensor | None:
        """Return the vectors of all tokens, [V, E]; None where a word's depends on more than its token."""
        tokens = self.tokens
        is_drawn = tokens.hides and self.training
        if self.characters is not None or self.pairs is not None or is_drawn or tokens.kind == "sparse":
            return None
        held = tokens.unit if tokens.kind == "one-hot" else tokens.weight
        vectors: Tensor = tokens(torch.arange(tokens.num_tokens, device=held.device))
        return vectors

    def forward(self, features: Mapping[str, Padded]) -> Padded:
        """Return the words' vectors, as the class describes."""
        ids = _feature(features, "tokens")
        vectors = self.tokens(ids.data)
        if self.pairs is not None:
            vectors = vectors + self.pairs(_feature(features, "pairs").data)
        if self.characters is None:
            return ids.with_data(vectors)
        summaries = self.characters(_feature(features, "spellings"))
        which = _feature(features, "spelling_of").data
        if len(summaries) == 0:  # a batch without a word: there is nothing that an index could point at
            return ids.with_data(torch.cat([vectors, vectors.new_zeros(*which.shape, summaries.size(1))], -1))
        return ids.with_data(torch.cat([vectors, functional.embedding(which, summaries)], -1))


class NumberInput(nn.Module):
    """Hand numbers on as they are, or through one linear layer: the input layer of series.

    Args:
        input_size: columns of the series, I.
        size: features of a step, E; None hands the columns on as they are.

    Attributes:
        output_size: E, or I.

    `forward(features)` takes "numbers", Padded [B, T, I], and gives Padded [B, T, E].

    Example:
        >>> numbers = Padded(torch.ones(2, 3, 4), torch.tensor([3, 1]))
        >>> NumberInput(4, 8)({"numbers": numbers}).data.shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, input_size: int, size: int | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, size) if size else None
        self.output_size = size or input_size

    def forward(self, features: Mapping[str, Padded]) -> Padded:
        """Return the steps, as the class describes."""
        numbers = _feature(features, "numbers")
        if self.linear is None:
            return numbers
        # Masked first: NaN in the padding, times its gradient of zero, would be NaN in the weights' gradient.
        return numbers.with_data(self.linear(numbers.masked().data))


InputLayer = WordEmbedding | NumberInput


def _feature(features: Mapping[str, Padded], name: str) -> Padded:
    if name not in features:
        raise ShapeError(
            f"the batch has no {name!r}, only {', '.join(sorted(features)) or 'nothing'}; "
            "expected features of the kind that the input layer was built for."
        )
    return features[name]


def _make_vectors(num_tokens: int, size: int | None, vectors: Tensor | None, std: float) -> nn.Parameter:
    if vectors is None:
        if size is None:
            raise ConfigError("an embedding needs a size, or vectors; expected size=100, for instance.")
        vectors = std * torch.randn(num_tokens, size)
    elif vectors.dim() != 2 or vectors.size(0) != num_tokens or size not in (None, vectors.size(1)):
        expected = f"({num_tokens}, {size or 'any'})"
        raise ShapeError(f"vectors have shape {tuple(vectors.shape)}, expected {expected}: one row a token.")
    weight = vectors.detach().clone().to(torch.get_default_dtype())
    weight[PADDING] = 0
    return nn.Parameter(weight)


def _hiding_probabilities(num_tokens: int, counts: Tensor | None, rate: float) -> Tensor:
    """Give p [V], how likely each token is read as the unknown one; the special tokens never are."""
    if rate == 0:
        return torch.zeros(0)
    if counts is None:
        raise ConfigError(
            f"unknown_rate is {rate} but no counts are given; expected how often each token was seen."
        )
    if tuple(counts.shape) != (num_tokens,):
        raise ShapeError(f"counts have shape {tuple(counts.shape)}, expected ({num_tokens},): one a token.")
    probabilities = rate / (rate + counts.to(torch.get_default_dtype()))
    probabilities[[PADDING, UNKNOWN]] = 0
    return probabilities
