"""JSON FORM: what was measured as plain dicts, lists and numbers."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


def json_form(value: Any) -> Any:
    """Return dataclasses as dicts, tensors as lists; what is not finite, and JSON cannot say, as None.

    Complex numbers become [real, imaginary].

    Example:
        >>> json_form({"a": torch.tensor([1.0, float("nan")]), "b": torch.tensor([1 + 2j])})
        {'a': [1.0, None], 'b': [[1.0, 2.0]]}
    """
    if isinstance(value, Tensor):
        value = torch.view_as_real(value) if value.is_complex() else value
        return json_form(value.tolist())
    if is_dataclass(value):
        return {field.name: json_form(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): json_form(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_form(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
