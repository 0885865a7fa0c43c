"""TOKEN SETTINGS: how texts and tokens are read, for the estimators that take them."""

from dataclasses import dataclass

from elman.config import CharactersName, EmbeddingName, NormalFormName, TokensName


@dataclass(kw_only=True, eq=False, repr=False)
class TokenSettings:
    """Parameters of `SequenceClassifier`, `SequenceRegressor` and `SequenceTagger`; None: the recipe decides.

    Series of numbers have no tokens; only `bidirectional` speaks to them.

    Example:
        >>> TokenSettings(tokens="words").tokens
        'words'
    """

    bidirectional: bool | None = None
    embedding: EmbeddingName | None = None
    embedding_size: int | None = None
    vectors: str | None = None
    characters: CharactersName | None = None
    pairs: bool | None = None
    tokens: TokensName | None = None
    normal_form: NormalFormName | None = None
    lowercase: bool | None = None
    min_count: int | None = None
    max_vocab: int | None = None
    unknown_rate: float | None = None
