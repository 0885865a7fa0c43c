"""TRANSLATION METRICS: how near written sequences come to what should have been written.

Where a source has several right answers, each output is measured against the one that it is nearest to.
Rates are fractions of one: edits divided by the length of those references. Edits are counted by rapidfuzz,
BLEU and chrF, from 0 to 100, by sacrebleu.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from rapidfuzz.distance import Levenshtein

from elman.errors import MissingExtraError, ShapeError

Tokens = Sequence[str]
"""A list of tokens, or a text and its characters."""


def edit_distance(one: Tokens, other: Tokens) -> int:
    """Return how many insertions, deletions and substitutions make one sequence the other (Levenshtein).

    Source: rapidfuzz, by Hyyrö 2003, A bit-vector algorithm for computing Levenshtein distances; its weights
    are 1, as here.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["K", "AE"], [])
        (3, 2)
    """
    return int(Levenshtein.distance(one, other))


def error_rate(references: Sequence[Sequence[Tokens]], outputs: Sequence[Tokens]) -> float:
    """Return the edits to the nearest reference of each output, divided by the length of those references.

    Nearest is what needs the fewest edits for its length. An empty reference counts as one token long.

    Args:
        references: the right answers for each output, at least one.
        outputs: what was written.

    Example:
        >>> error_rate([["abc", "abd"], ["xy"]], ["abd", "x"])
        0.2
    """
    if len(references) != len(outputs):
        raise ShapeError(
            f"{len(references)} lists of references but {len(outputs)} outputs; expected as many."
        )
    edits = total = 0
    for answers, output in zip(references, outputs, strict=True):
        counted = [(edit_distance(answer, output), max(1, len(answer))) for answer in answers]
        nearest = min(counted, key=lambda pair: pair[0] / pair[1])
        edits += nearest[0]
        total += nearest[1]
    return edits / total if total else 0.0


def exact_match(references: Sequence[Sequence[Any]], outputs: Sequence[Any]) -> float:
    """Return the share of outputs that are one of their references.

    Example:
        >>> exact_match([["a", "b"], ["c"]], ["b", "d"])
        0.5
    """
    right = sum(output in answers for answers, output in zip(references, outputs, strict=True))
    return right / len(outputs) if outputs else 0.0


def text_scores(references: Sequence[Sequence[str]], outputs: Sequence[str]) -> dict[str, float]:
    """Return word_error_rate and character_error_rate of texts; words are what stands between spaces.

    Example:
        >>> text_scores([["a bird"]], ["the bird"])
        {'word_error_rate': 0.5, 'character_error_rate': 0.5}
    """
    in_words = [[answer.split() for answer in answers] for answers in references]
    return {
        "word_error_rate": error_rate(in_words, [output.split() for output in outputs]),
        "character_error_rate": error_rate(references, outputs),
    }


def sacrebleu_scores(references: Sequence[Sequence[str]], outputs: Sequence[str]) -> dict[str, Any]:
    """Return bleu, chrf and bleu_signature, as sacrebleu gives them.

    Raises:
        MissingExtraError: sacrebleu is not installed.

    Example:
        >>> round(sacrebleu_scores([["a small red bird"]], ["a small red bird"])["bleu"], 6)
        100.0
    """
    package = require_sacrebleu()
    # sacrebleu wants the first references of all, then the second ones; None where a source has fewer.
    by_place = [list(place) for place in zip_longest(*references)]
    bleu, chrf = package.metrics.BLEU(), package.metrics.CHRF()
    scores = {
        "bleu": float(bleu.corpus_score(list(outputs), by_place).score),
        "chrf": float(chrf.corpus_score(list(outputs), by_place).score),
    }
    return scores | {"bleu_signature": str(bleu.get_signature())}


def require_sacrebleu() -> Any:
    """Return the package, or say how to install it."""
    try:
        import sacrebleu
    except ImportError:
        raise MissingExtraError(
            "BLEU and chrF of translated text are counted by the package sacrebleu, which is not installed; "
            "install the extra: pip install 'elman[text]'."
        ) from None
    return sacrebleu
