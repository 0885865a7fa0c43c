"""SEQUENCE TAGGER: one tag for each token, with scikit-learn's manners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from elman.errors import DataError
from elman.estimators.forms import sort_out
from elman.estimators.labels import distinct, flat_labels, is_missing, names_of
from elman.estimators.sequence_estimator import SequenceEstimator
from elman.estimators.token_settings import TokenSettings


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceTagger(TokenSettings, SequenceEstimator):
    """Give each token of a sequence a tag.

    The parameters are settings of `elman.train`, under the same names (`elman.config.Settings` says what each
    does); None leaves the choice to the recipe.

    Args:
        validation_fraction, random_state, verbose: see `SequenceEstimator`.

    Attributes:
        classes_: the tags in order, in the dtype of y.
        run_: the trained `elman.Run`, with its report, scores and layers.
        n_iter_: epochs that were trained.

    Example:
        >>> X, y = [["we", "sing"], ["we", "do"]] * 5, [["P", "V"], ["P", "V"]] * 5
        >>> model = SequenceTagger(hidden_size=4, epochs=1, threads=1).fit(X, y)
        >>> model.classes_.tolist(), len(model.predict(["we do sing"])[0])
        (['P', 'V'], 3)
    """

    task: ClassVar[str] = "tag"

    crf: bool | None = None

    def fit(self, X: Any, y: Any) -> "SequenceTagger":
        """Train on lists of tokens and lists of their tags, and return the estimator.

        Args:
            X: N lists of tokens, or texts, which are cut at white space (into characters where `tokens` says
                so).
            y: N lists of tags, one for each token; or texts, cut at white space.

        Raises:
            DataError: X or y cannot be used; a list has fewer or more tags than tokens.
            ConfigError: a parameter is not valid.
        """
        from sklearn.utils import check_consistent_length

        self._forget()
        self._require(y)
        tokens = self._tokens(X)
        tags = _tag_lists(y)
        check_consistent_length(tokens, tags)
        _check_lengths(tokens, tags)
        flat = [tag for row in tags for tag in row]
        if not flat:
            raise DataError("y holds no tag; every sequence is empty.")
        self.classes_ = distinct(flat_labels(flat))
        classes = self.classes_.tolist()
        names = dict(zip(classes, names_of(classes), strict=True))
        rows = zip(tokens, [tuple(names[tag] for tag in row) for row in tags], strict=True)
        self._train(list(rows))
        return self

    def predict(self, X: Any) -> list[list[Any]]:
        """Return a list of tags for each sequence, one for each token.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: X is of another form than in `fit`.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        classes = self.classes_.tolist()
        labels = dict(zip(names_of(classes), classes, strict=True))
        predictions = self._predict(self._tokens(X))
        return [[labels[name] for name in each.tags or []] for each in predictions]

    def score(self, X: Any, y: Any) -> float:
        """Return the share of tokens that get their right tag."""
        from sklearn.utils import check_consistent_length

        tags = _tag_lists(y)
        predicted = self.predict(X)
        check_consistent_length(predicted, tags)
        _check_lengths(predicted, tags)
        pairs = [pair for row in zip(predicted, tags, strict=True) for pair in zip(*row, strict=True)]
        if not pairs:
            raise DataError("X holds no token, so there is nothing to score.")
        return float(np.mean([said == right for said, right in pairs]))

    def _tokens(self, X: Any) -> list[tuple[str, ...]]:
        """Return lists of tokens; texts are cut."""
        found = sort_out(X)
        if found.form not in ("texts", "tokens") and np.size(found.items):
            raise DataError("X holds numbers; a tagger reads lists of tokens, or texts.")
        if not len(found.items):
            raise DataError("X is empty; one sequence at least was expected.")
        cut = tuple if self.tokens == "characters" else str.split
        return [tuple(cut(item)) if isinstance(item, str) else tuple(item) for item in found.items]

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: tokens, and a target a token."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        return tags


def _check_lengths(tokens: Sequence[Sequence[Any]], tags: Sequence[Sequence[Any]]) -> None:
    """Refuse a sequence with fewer or more tags than tokens."""
    for place, (words, row) in enumerate(zip(tokens, tags, strict=True)):
        if len(words) != len(row):
            raise DataError(
                f"X[{place}] has {len(words)} tokens and y[{place}] {len(row)} tags; give each token one."
            )


def _tag_lists(y: Any) -> Sequence[list[Any]]:
    """Return tags as lists; texts are cut at white space."""
    if hasattr(y, "to_list") and not isinstance(y, np.ndarray):
        y = y.to_list()
    if isinstance(y, str) or not hasattr(y, "__len__"):
        raise DataError("y was expected to be a list of lists of tags, one tag for each token.")
    rows = []
    for place, row in enumerate(y):
        if isinstance(row, str):
            row = row.split()
        elif not hasattr(row, "__len__"):
            raise DataError(f"y[{place}] is {row!r}; a list of tags was expected, one for each token.")
        if any(map(is_missing, row)):
            raise DataError(f"y[{place}] has a missing tag; every token needs one.")
        rows.append(row.tolist() if isinstance(row, np.ndarray) else list(row))
    return rows
