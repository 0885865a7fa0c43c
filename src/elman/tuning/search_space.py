"""SEARCH SPACE: which settings a search tries for each task, and how far from what the recipe chooses.

Every range stands around the recipe's own choice, which is always inside it. A setting that was given is
never searched, nor is one for which the recipe chooses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elman.config import Settings
from elman.errors import ConfigError


@dataclass(frozen=True)
class Factors:
    """Any number from `low` to `high` times the recipe's, evenly on a logarithmic scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`; the recipe's own widens it."""

    low: float
    high: float


@dataclass(frozen=True)
class Multiples:
    """Whole multiples of `unit` near so many times the recipe's choice; `unit` None: of the patch."""

    factors: tuple[float, ...]
    unit: int | None = 1


@dataclass(frozen=True)
class Choices:
    """One of some values; the recipe's own is added to them."""

    values: tuple[Any, ...]


Rule = Factors | Between | Multiples | Choices

EVERY: dict[str, Rule] = {
    "learning_rate": Factors(0.25, 4.0),
    "hidden_size": Multiples((0.5, 1.0, 1.5, 2.0), unit=8),
    "num_layers": Choices((1, 2)),
    "dropout": Between(0.0, 0.6),
    "batch_size": Multiples((0.5, 1.0, 2.0)),
    "weight_decay": Choices((0.0, 1e-5, 1e-4, 1e-3)),
    "cell": Choices(("lstm", "gru")),
}
"""What is tried for every task."""

INPUT_DROPOUT = Between(0.0, 0.6)
POOLING = Choices(("mean+max", "max", "attention"))

OF_TASK: dict[str, dict[str, Rule]] = {
    "classify": {"input_dropout": INPUT_DROPOUT, "pooling": POOLING},
    "tag": {"input_dropout": INPUT_DROPOUT},
    "regress": {"input_dropout": INPUT_DROPOUT, "pooling": POOLING, "loss": Choices(("mse", "huber"))},
    "regress_steps": {"input_dropout": INPUT_DROPOUT, "loss": Choices(("mse", "huber"))},
    "forecast": {
        "context": Multiples((0.5, 1.0, 2.0), unit=None),
        "patch": Choices((1,)),
        "difference": Choices(("last", "season", "none")),
        "point": Choices(("mse", "mae")),
    },
    "fill": {"input_dropout": INPUT_DROPOUT},
    "generate": {"input_dropout": INPUT_DROPOUT},
    "translate": {
        "attention": Choices(("additive", "multiplicative")),
        "label_smoothing": Between(0.0, 0.2),
    },
}
"""What is tried besides, by task. What changes the problem itself (tokens, horizon, hide_rate) never is."""

CHANGE_THE_LOSS = ("loss", "label_smoothing", "point", "difference")
"""Settings under which a loss is another quantity; not searched where the loss itself is the metric."""

CHANGE_THE_SHAPES = ("hidden_size", "num_layers", "cell", "pooling", "attention", "context", "patch")
"""Settings under which a network has other weights; not searched where it starts from those of a run."""


@dataclass(frozen=True)
class Dimension:
    """One setting of a search.

    Args:
        name: the setting.
        default: what the recipe chooses.
        low, high: the range of a number.
        is_log: whether the range is even on a logarithmic scale.
        choices: the values instead of a range.
    """

    name: str
    default: Any
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    choices: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields, ready for `json.dumps`."""
        return {
            "name": self.name,
            "default": self.default,
            "low": self.low,
            "high": self.high,
            "is_log": self.is_log,
            "choices": list(self.choices),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Dimension":
        """Read what `to_json` gave."""
        return cls(**{**values, "choices": tuple(values["choices"])})

    def told(self) -> str:
        """Return the dimension in words.

        Example:
            >>> Dimension("dropout", 0.5, 0.0, 0.6).told()
            'dropout 0 to 0.6'
        """
        if self.choices:
            return f"{self.name} {' | '.join(map(str, self.choices))}"
        return f"{self.name} {self.low:.3g} to {self.high:.3g}"


def search_space(given: Settings, chosen: Settings, metric: str) -> list[Dimension]:
    """Return what is to be searched.

    Args:
        given: the settings as the user gave them; those are left alone.
        chosen: the same with every choice of the recipe made.
        metric: the validation metric that is made better.

    Raises:
        ConfigError: no setting is left that could be searched.

    Example:
        >>> from elman.config import make_settings
        >>> given = make_settings({"task": "tag", "dropout": 0.1, "cell": "gru"})
        >>> chosen = given.model_copy(update={"hidden_size": 128, "learning_rate": 2e-3, "num_layers": 2})
        >>> [dimension.told() for dimension in search_space(given, chosen, "accuracy")][:2]
        ['learning_rate 0.0005 to 0.008', 'hidden_size 64 | 128 | 192 | 256']
    """
    rules = EVERY | OF_TASK[str(given.task)]
    found = []
    for name, rule in rules.items():
        default = getattr(chosen, name)
        is_open = name not in given.model_fields_set or getattr(given, name) is None
        if not is_open or default is None or (metric == "loss" and name in CHANGE_THE_LOSS):
            continue
        if name == "pooling" and default == "last":  # of vectors: one step, nothing to pool
            continue
        if given.start_from is not None and name in CHANGE_THE_SHAPES:
            continue
        if name == "cell" and given.forget_bias is not None:  # which no other cell has
            continue
        dimension = _dimension(name, rule, default, chosen)
        if len(dimension.choices) != 1:
            found.append(dimension)
    if not found:
        raise ConfigError(
            f"every setting that could be searched was given ({', '.join(rules)}); leave out those that are "
            "to be tuned, or train with: elman train."
        )
    return found


def _dimension(name: str, rule: Rule, default: Any, chosen: Settings) -> Dimension:
    """Return a rule around the recipe's choice."""
    match rule:
        case Factors():
            return Dimension(name, default, default * rule.low, default * rule.high, True)
        case Between():
            return Dimension(name, default, min(rule.low, default), max(rule.high, default))
        case Multiples():
            unit = chosen.patch or 1  # every context must hold whole patches, and one row is one always
            if rule.unit is not None:
                unit = rule.unit if default >= 2 * rule.unit else 1
            values = _multiples(default, rule.factors, unit)
            return Dimension(name, default, choices=values)
    if name == "difference" and not 1 < (chosen.season or 1) <= (chosen.context or 1):
        values = tuple(value for value in rule.values if value != "season")  # there is none to subtract
    else:
        values = rule.values
    return Dimension(name, default, choices=tuple(dict.fromkeys((*values, default))))


def _multiples(default: int, factors: Sequence[float], unit: int) -> tuple[int, ...]:
    """Return whole numbers near some factors of a default, itself among them.

    Example:
        >>> _multiples(128, (0.5, 1.0, 1.5), 8), _multiples(1, (0.5, 1.0, 2.0), 1)
        ((64, 128, 192), (1, 2))
    """
    wanted = [
        default if factor == 1.0 else max(1, round(default * factor / unit)) * unit for factor in factors
    ]
    return tuple(sorted({*wanted, default}))
