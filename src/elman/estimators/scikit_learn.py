"""SCIKIT-LEARN: the classes that the estimators build on, and stand-ins where it is not installed.

A module that cannot be imported would be of no use to who only looks at it; a stand-in says at its first use
what to install.
"""

from typing import Any

from elman.errors import MissingExtraError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
except ImportError:

    class BaseEstimator:  # type: ignore[no-redef]
        """Stands where scikit-learn's class would."""

        def __new__(cls, *_: Any, **__: Any) -> Any:
            """Say what is missing."""
            raise MissingExtraError(
                f"{cls.__name__} needs scikit-learn, which is not installed; bring it with: "
                "pip install 'elman[sklearn]'"
            )

    class ClassifierMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn's class would."""

    class RegressorMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn's class would."""


__all__ = ["BaseEstimator", "ClassifierMixin", "RegressorMixin"]
