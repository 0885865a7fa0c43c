"""PADDING, for whole networks: padding and batch-mates change neither outputs nor gradients.

For every pooling, cell, direction, kind of input and way of tagging: the scores of a row are those of the
row alone, and the gradient of a batch's summed loss is the sum of the gradients of its rows alone. The
padding is filled with garbage, so that whoever looks at it is found out; the last tests plant the usual bugs,
and see the law fail.
"""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tolerances import SAME_GRADIENT, SAME_ROW
from torch.nn import functional

from elman.losses import DISTANCES
from elman.nn import attention, crf, encoder, pooling, spelling
from elman.nn.embedding import CharacterSummary, NumberInput, TokenEmbedding, WordEmbedding
from elman.nn.encoder import LAYERS, Encoder
from elman.nn.pooling import POOLINGS
from elman.padded import Padded
from elman.patterns import (
    PATTERNS,
    Classifier,
    LanguageModel,
    Regressor,
    StepRegressor,
    generate,
    regress_steps,
    tag,
)

VOCABULARY, CHARACTERS, COLUMNS, LABELS = 7, 5, 3, 4
ONE_A_ROW = (Classifier, Regressor)
INPUTS = ("words", "recurrent spelling", "convolved spelling", "one-hot", "pairs", "numbers")
LEGAL = (
    [True, True, False, True],
    [
        [True, True, False, True],
        [True, True, True, True],
        [False, True, True, True],
        [True, False, True, True],
    ],
    [True, True, True, False],
)


@dataclass
class Row:
    """One sequence in all the forms that an input layer may ask for."""

    tokens: torch.Tensor
    pairs: torch.Tensor
    words: list[tuple[int, ...]]
    numbers: torch.Tensor
    label: int
    tags: torch.Tensor
    measures: torch.Tensor


@dataclass
class Batch:
    features: dict[str, Padded]
    target: torch.Tensor | Padded


def make_row(length, dtype):
    words = [
        tuple(torch.randint(2, CHARACTERS, (int(torch.randint(0, 7, ())),)).tolist()) for _ in range(length)
    ]
    return Row(
        torch.randint(1, VOCABULARY, (length,)),
        torch.randint(0, VOCABULARY, (length,)),
        words,
        torch.randn(length, COLUMNS, dtype=dtype),
        int(torch.randint(LABELS, ())),
        torch.randint(LABELS, (length,)),
        torch.randn(1 + length, LABELS, dtype=dtype),
    )


def fill(rows, steps, garbage, *, shape=(), dtype=torch.int64):
    """Right-pad with garbage(shape of the whole), so that every padded place holds another number."""
    data = garbage((len(rows), steps, *shape)).to(dtype)
    for place, row in enumerate(rows):
        data[place, : len(row)] = torch.as_tensor(row, dtype=dtype).reshape(-1, *shape)
    return Padded(data, torch.tensor([len(row) for row in rows]))


def make_batch(pattern, rows, *, extra=0, mates=()):
    """The rows as one batch, with `extra` steps of padding, and words of which no row knows."""
    forms = sorted(
        {word for row in rows for word in row.words} | set(mates), key=lambda form: hash((form, extra))
    )
    steps = max([len(row.tokens) for row in rows] + [1]) + extra
    letters = max([len(form) for form in forms] + [1]) + extra
    index = {form: place for place, form in enumerate(forms)}
    features = {
        "tokens": fill([row.tokens for row in rows], steps, lambda shape: torch.randint(VOCABULARY, shape)),
        "pairs": fill([row.pairs for row in rows], steps, lambda shape: torch.randint(VOCABULARY, shape)),
        "numbers": fill(
            [row.numbers for row in rows],
            steps,
            lambda shape: 100 * torch.randn(shape),
            shape=(COLUMNS,),
            dtype=rows[0].numbers.dtype,
        ),
        "spelling_of": fill(
            [[index[word] for word in row.words] for row in rows],
            steps,
            lambda shape: torch.randint(max(len(forms), 1), shape),
        ),
        "spellings": fill(forms or [()], letters, lambda shape: torch.randint(CHARACTERS, shape)),
    }
    if isinstance(pattern, Classifier):
        return Batch(features, torch.tensor([row.label for row in rows]))
    if isinstance(pattern, LanguageModel) and pattern.reads_frames:
        frames = [functional.one_hot(row.tags, LABELS) for row in rows]
        dtype = rows[0].numbers.dtype
        target = fill(frames, steps, lambda shape: 9 * torch.randn(shape), shape=(LABELS,), dtype=dtype)
        return Batch(features, target)
    if isinstance(pattern, Regressor):
        return Batch(features, torch.stack([row.measures[0] for row in rows]))
    if isinstance(pattern, StepRegressor):
        numbers = [row.measures[1:] for row in rows]
        return Batch(
            features,
            fill(
                numbers,
                steps,
                lambda shape: 100 * torch.randn(shape),
                shape=(LABELS,),
                dtype=numbers[0].dtype,
            ),
        )
    target = fill([row.tags for row in rows], steps, lambda shape: torch.randint(-9, 99, shape))
    return Batch(features, target)


def make_input(kind):
    if kind == "numbers":
        return NumberInput(COLUMNS, 5)
    if kind == "one-hot":
        return WordEmbedding(TokenEmbedding(VOCABULARY, kind="one-hot"))
    if kind == "pairs":
        return WordEmbedding(TokenEmbedding(VOCABULARY, 3), pairs=TokenEmbedding(VOCABULARY, 3))
    reader = {"recurrent spelling": "recurrent", "convolved spelling": "convolution"}.get(kind)
    characters = CharacterSummary(CHARACTERS, 4, kind=reader, embedding_size=3) if reader else None
    return WordEmbedding(TokenEmbedding(VOCABULARY, 3), characters)


def make_pattern(name, *, cell="lstm", both=True, kind="words", dtype=torch.float64, layers=1, **options):
    inputs = make_input(kind)
    if name == "fill":  # two readers of one direction each, whatever `both` says
        readers = [Encoder(inputs.output_size, 4, cell=cell, num_layers=layers) for _ in range(2)]
        return PATTERNS[name](inputs, *readers, num_labels=LABELS, gap_id=2, **options).to(dtype).eval()
    both = both and name != "generate"
    reader = Encoder(inputs.output_size, 4, cell=cell, bidirectional=both, num_layers=layers)
    size = {"generate": "num_outputs", "regress": "num_targets", "regress_steps": "num_targets"}
    pattern = PATTERNS[name](inputs, reader, **({size.get(name, "num_labels"): LABELS} | options))
    return pattern.to(dtype).eval()


def summed_loss(pattern, batch):
    """The loss times what it was divided by."""
    count = len(batch.target) if isinstance(pattern, ONE_A_ROW) else int(batch.target.lengths.sum())
    return pattern.loss(batch) * count


def gradients(pattern, loss):
    found = torch.autograd.grad(loss, list(pattern.parameters()), allow_unused=True, materialize_grads=True)
    return dict(zip((name for name, _ in pattern.named_parameters()), found, strict=True))


def real_scores(pattern, batch):
    """The scores of each row, without what stands in the padding."""
    scores = pattern.scores(batch)
    return list(scores) if isinstance(pattern, ONE_A_ROW) else scores.unpad()


def check_the_law(pattern, lengths, *, dtype=torch.float64, extra=2):
    rows = [make_row(length, dtype) for length in lengths]
    batch = make_batch(pattern, rows, extra=extra, mates=[(2, 3, 4, 2, 3, 4, 2, 3), (4,)])
    together = real_scores(pattern, batch)
    close = {"atol": SAME_ROW[dtype], "rtol": SAME_ROW[dtype]}
    sums = {name: torch.zeros_like(parameter) for name, parameter in pattern.named_parameters()}
    for row, scores in zip(rows, together, strict=True):
        alone = make_batch(pattern, [row])
        torch.testing.assert_close(real_scores(pattern, alone)[0], scores, **close)
        for name, gradient in gradients(pattern, summed_loss(pattern, alone)).items():
            sums[name] += gradient
    close = {"atol": SAME_GRADIENT[dtype], "rtol": SAME_GRADIENT[dtype]}
    for name, gradient in gradients(pattern, summed_loss(pattern, batch)).items():
        torch.testing.assert_close(
            gradient, sums[name], **close, msg=lambda text, name=name: f"{name}: {text}"
        )


def check_decoding(pattern, lengths):
    rows = [make_row(length, torch.float64) for length in lengths]
    decoded = pattern.decode(make_batch(pattern, rows, extra=2))
    for row, tags, sure in zip(rows, decoded.tags, decoded.probabilities, strict=True):
        alone = pattern.decode(make_batch(pattern, [row]))
        assert alone.tags[0] == tags
        assert len(tags) == len(row.tokens)
        torch.testing.assert_close(
            torch.tensor(alone.probabilities[0]), torch.tensor(sure), atol=1e-12, rtol=1e-12
        )


some_lengths = st.lists(st.integers(0, 6), min_size=1, max_size=4)
seeds = st.integers(0, 2**31)
both_ways = pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
every_cell = pytest.mark.parametrize("cell", LAYERS)


@both_ways
@every_cell
@pytest.mark.parametrize("name", POOLINGS)
@given(lengths=some_lengths, seed=seeds)
def test_padding_and_batch_mates_do_not_change_a_classifier(name, cell, both, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern("classify", cell=cell, both=both, pooling=name), lengths)


@both_ways
@every_cell
@pytest.mark.parametrize("chained", [False, True], ids=["softmax", "crf"])
@given(lengths=some_lengths, seed=seeds)
def test_padding_and_batch_mates_do_not_change_a_tagger(chained, cell, both, lengths, seed):
    torch.manual_seed(seed)
    pattern = make_pattern("tag", cell=cell, both=both, crf=chained, legal=LEGAL)
    if chained:
        torch.nn.init.normal_(pattern.crf.between)
    check_the_law(pattern, lengths)
    check_decoding(pattern, lengths)


@both_ways
@every_cell
@pytest.mark.parametrize("name", ["regress", "regress_steps"])
@given(lengths=some_lengths, seed=seeds, loss=st.sampled_from(DISTANCES))
def test_padding_and_batch_mates_do_not_change_a_regressor(name, loss, cell, both, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern(name, cell=cell, both=both, loss=loss), lengths)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", PATTERNS)
@given(lengths=some_lengths, seed=seeds)
def test_padding_and_batch_mates_do_not_change_what_is_read(name, kind, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern(name, kind=kind, layers=2), lengths)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", PATTERNS)
@given(lengths=some_lengths, seed=seeds)
def test_in_single_precision_a_row_alone_is_the_row_in_a_batch(name, kind, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern(name, kind=kind, dtype=torch.float32), lengths, dtype=torch.float32)


@pytest.mark.parametrize("name", PATTERNS)
def test_rows_without_steps_have_scores_and_no_nan(name):
    pattern = make_pattern(name, kind="recurrent spelling")
    batch = make_batch(pattern, [make_row(0, torch.float64), make_row(0, torch.float64)], extra=3)
    assert all(scores.isfinite().all() for scores in real_scores(pattern, batch))
    found = gradients(pattern, pattern.loss(batch))
    assert all(gradient.isfinite().all() for gradient in found.values())


@pytest.mark.parametrize("name", PATTERNS)
def test_not_a_number_in_the_padding_does_not_spread(name):
    pattern = make_pattern(name, kind="numbers")
    rows = [make_row(length, torch.float64) for length in (3, 0, 5)]
    batch = make_batch(pattern, rows, extra=1)
    expected = [scores.clone() for scores in real_scores(pattern, batch)]
    batch.features["numbers"] = batch.features["numbers"].masked(torch.nan)
    for scores, before in zip(real_scores(pattern, batch), expected, strict=True):
        torch.testing.assert_close(scores, before, atol=1e-12, rtol=1e-12)
    for parameter in gradients(pattern, pattern.loss(batch)).values():
        assert parameter.isfinite().all()


@every_cell
@pytest.mark.parametrize("name", PATTERNS)
@given(lengths=some_lengths, seed=seeds, longer=st.integers(0, 3))
def test_truncation_at_a_window_as_long_as_the_sequence_is_no_truncation(name, cell, lengths, seed, longer):
    torch.manual_seed(seed)
    pattern = make_pattern(name, cell=cell, both=False, layers=2)
    batch = make_batch(pattern, [make_row(length, torch.float64) for length in lengths])
    whole = gradients(pattern, pattern.loss(batch))
    window = batch.features["tokens"].data.size(1) + longer
    for parameter, gradient in gradients(pattern, pattern.loss(batch, window=window)).items():
        assert torch.equal(gradient, whole[parameter])


@every_cell
@pytest.mark.parametrize("name", PATTERNS)
@given(lengths=some_lengths, seed=seeds, window=st.integers(1, 4))
def test_a_window_leaves_the_loss_as_it_is(name, cell, lengths, seed, window):
    torch.manual_seed(seed)
    pattern = make_pattern(name, cell=cell, both=False, layers=2)
    batch = make_batch(pattern, [make_row(length, torch.float64) for length in lengths])
    torch.testing.assert_close(
        pattern.loss(batch, window=window), pattern.loss(batch), atol=1e-12, rtol=1e-12
    )


# The bugs that such code usually has, each planted in turn: the law must notice.


def max_over_zeros(self, steps):
    return steps.masked().data.max(1).values


def mean_over_padding(self, steps):
    return steps.masked().data.mean(1)


def last_step_of_the_batch(self, steps):
    return steps.data[:, -1]


def softmax_over_padding(scores, mask):
    return scores.softmax(-1)


def layers_without_lengths(self, data, lengths, state):
    output, final = self.layers(data, None)
    return Padded(output, lengths), (final if isinstance(final, tuple) else (final,))


def convolution_over_garbage(self, spellings, vectors, read=spelling.ConvolutionReader.forward):
    full = torch.full_like(spellings.lengths, spellings.data.size(1))
    return read(self, Padded(spellings.data, full), vectors)


def loss_over_padding(scores, target, **_):
    clean = target.masked(0)
    return functional.cross_entropy(scores.data.flatten(0, 1), clean.data.flatten())


def frame_loss_over_padding(scores, target):
    clean = target.masked(0)
    return functional.binary_cross_entropy_with_logits(scores.data, clean.data) * LABELS


def distance_over_padding(predicted, target, **_):
    return functional.mse_loss(predicted.data, target.masked(0).data)


def partition_without_lengths(scores, chain):
    full = torch.full_like(scores.lengths, scores.data.size(1))
    return crf.log_partition_in_logs(Padded(scores.masked().data, full), chain)


PLANTED = {
    "max over zeros": ("classify", pooling.MaxPooling, "forward", max_over_zeros, {"pooling": "max"}),
    "mean over padding": ("classify", pooling.MeanPooling, "forward", mean_over_padding, {"pooling": "mean"}),
    "last step of the batch": (
        "classify",
        pooling.LastPooling,
        "forward",
        last_step_of_the_batch,
        {"pooling": "last"},
    ),
    "softmax over padding": (
        "classify",
        attention,
        "masked_softmax",
        softmax_over_padding,
        {"pooling": "attention"},
    ),
    "layers without lengths": ("tag", encoder.Encoder, "_read", layers_without_lengths, {}),
    "convolution over garbage": (
        "tag",
        spelling.ConvolutionReader,
        "forward",
        convolution_over_garbage,
        {"kind": "convolved spelling"},
    ),
    "loss over padding": ("tag", tag, "cross_entropy", loss_over_padding, {}),
    "language loss over padding": ("generate", generate, "cross_entropy", loss_over_padding, {}),
    "frame loss over padding": (
        "generate",
        generate,
        "frame_cross_entropy",
        frame_loss_over_padding,
        {"kind": "numbers"},
    ),
    "distance over padding": ("regress_steps", regress_steps, "distance", distance_over_padding, {}),
    "crf without lengths": ("tag", crf, "log_partition", partition_without_lengths, {"crf": True}),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_the_law_notices(bug, monkeypatch):
    name, owner, attribute, wrong, options = PLANTED[bug]
    pattern = make_pattern(name, **options)
    check_the_law(pattern, [5, 2, 3])
    monkeypatch.setattr(owner, attribute, wrong)
    with pytest.raises(AssertionError):
        check_the_law(pattern, [5, 2, 3])
