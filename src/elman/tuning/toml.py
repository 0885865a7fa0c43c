"""TOML: settings written as a file that `elman train FILE.toml` reads."""

import json
from collections.abc import Mapping


def to_toml(values: Mapping[str, str | int | float | bool]) -> str:
    """Return plain values as TOML, one a line.

    Example:
        >>> print(to_toml({"cell": "gru", "crf": True, "learning_rate": 2e-05}), end="")
        cell = "gru"
        crf = true
        learning_rate = 2e-05
    """
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's; of DEL, which TOML wants escaped, JSON says nothing.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
