"""CHECK PADDING clears every pattern of elman, with every cell, pooling and input, and finds planted bugs."""

from types import SimpleNamespace

import pytest
import test_padding_patterns as patterns
import test_padding_translate as translate
import torch
from torch import nn

from elman.nn.attention import ATTENTIONS
from elman.nn.encoder import LAYERS
from elman.nn.pooling import POOLINGS
from elman.padded import Padded
from elman.patterns import PATTERNS
from elman.xray.padding import check_padding

LENGTHS = [5, 3, 1, 0]


class Called(nn.Module):
    """A pattern called as `module(x, lengths)`."""

    def __init__(self, pattern, name, target=None):
        super().__init__()
        self.pattern, self.name, self.target = pattern, name, target

    def forward(self, x, lengths):
        target = None
        if self.target is not None:
            data = self.target.expand(len(x), -1)
            target = Padded(data, torch.full((len(x),), data.size(1)))
        batch = SimpleNamespace(features={self.name: Padded(x, lengths)}, target=target)
        return self.pattern.scores(batch)


def check(pattern, kind="words", target=None):
    ids = torch.randint(1, patterns.VOCABULARY, (4, 6))
    data = torch.randn(4, 6, patterns.COLUMNS, dtype=torch.float64) if kind == "numbers" else ids
    module = Called(pattern, "numbers" if kind == "numbers" else "tokens", target)
    report = check_padding(module, data, LENGTHS, training=not isinstance(pattern, PATTERNS["fill"]))
    assert report, str(report)
    assert not report.notes, str(report)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_is_cleared(pooling, cell, both):
    check(patterns.make_pattern("classify", cell=cell, both=both, pooling=pooling))


@pytest.mark.parametrize("kind", ["words", "numbers", "one-hot"])
@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_is_cleared(name, cell, kind):
    check(patterns.make_pattern(name, cell=cell, kind=kind, layers=2), kind)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_encoder_decoder_is_cleared(attention, cell):
    check(translate.make_pattern(attention, cell=cell), target=torch.tensor([[4, 5, 4, 3]]))


@pytest.mark.parametrize("planted", ["max over zeros", "mean over padding", "last step of the batch"])
def test_a_pooling_that_looks_at_the_padding_is_named(planted, monkeypatch):
    _, place, attribute, bug, options = patterns.PLANTED[planted]
    monkeypatch.setattr(place, attribute, bug)
    module = Called(patterns.make_pattern("classify", **options), "tokens")
    report = check_padding(module, torch.randint(1, patterns.VOCABULARY, (4, 6)), [5, 3, 1, 2])
    assert {leak.submodule for leak in report.leaks} == {"pattern.pooling"}
