"""Search for a classifier of series of unequal length the way scikit-learn does it.

    python examples/estimators.py

It needs the extra `sklearn`. The series differ in length, so they are a list and no array.
"""

import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from elman.estimators import SequenceClassifier


def make_steps(count: int) -> tuple[list[np.ndarray], list[str]]:
    """Return series of 8 to 20 steps that jump up or down somewhere, and which of the two."""
    generator = np.random.default_rng(0)
    series, labels = [], []
    for number in range(count):
        length = int(generator.integers(8, 21))
        jump = np.arange(length) >= generator.integers(2, length - 2)
        sign = 1 if number % 2 else -1
        series.append((sign * jump + generator.normal(0, 0.8, length))[:, None])
        labels.append("up" if number % 2 else "down")
    return series, labels


def differences(series: list[np.ndarray]) -> list[np.ndarray]:
    """Return each series beside its changes from step to step: two columns."""
    return [np.hstack([one, np.diff(one, axis=0, prepend=one[:1])]) for one in series]


def main() -> None:
    """Try two cells in a pipeline by cross-validation, and score the better one."""
    X, y = make_steps(90)
    model = SequenceClassifier(hidden_size=12, epochs=6, learning_rate=0.02, threads=1, seed=0)
    pipeline = make_pipeline(FunctionTransformer(differences), model)
    search = GridSearchCV(pipeline, {"sequenceclassifier__cell": ["rnn", "gru"]}, cv=3).fit(X, y)
    for cell, score in zip(
        search.cv_results_["param_sequenceclassifier__cell"],
        search.cv_results_["mean_test_score"],
        strict=True,
    ):
        print(f"{cell}: accuracy {score:.3f}")
    scores = cross_val_score(search.best_estimator_, X, y, cv=3)
    print(f"the better one, in three parts: {', '.join(f'{score:.3f}' for score in scores)}")


if __name__ == "__main__":
    main()
