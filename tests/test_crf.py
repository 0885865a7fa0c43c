"""CRF: held against the enumeration of every sequence of tags, in float64."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ShapeError
from elman.nn.crf import CRF, Chain, Viterbi, log_partition, log_partition_in_logs
from elman.padded import Padded, pad

EXACT = 1e-12
"""float64: sums of a few dozen exponentials of numbers below 10."""
SINGLE = 1e-5
"""float32 in and out; what lies between is float64, so only the rounding of the scores themselves is left."""


def random_crf(num_tags, *, scale=1.0, legal=None):
    crf = CRF(num_tags, legal=legal).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
    return crf


def random_scores(lengths, num_tags, *, scale=1.0):
    steps = max([*lengths, 1])
    return Padded(
        scale * torch.randn(len(lengths), steps, num_tags, dtype=torch.float64), torch.tensor(lengths)
    )


def score_of(crf, scores_TK, tags):
    """s(x, y), written out."""
    if not tags:
        return 0.0
    total = crf.start[tags[0]] + crf.end[tags[-1]]
    total = total + sum(scores_TK[t, tag] for t, tag in enumerate(tags))
    return total + sum(crf.between[left, right] for left, right in itertools.pairwise(tags))


@torch.no_grad()
def all_scores(crf, scores_TK, length, num_tags):
    """{tags: s(x, y)} for every sequence of tags of this length."""
    return {
        tags: float(score_of(crf, scores_TK, tags))
        for tags in itertools.product(range(num_tags), repeat=length)
    }


cases = st.tuples(
    st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, 4), st.integers(0, 2**31)
)


@given(cases)
def test_likelihood_is_that_of_the_enumeration_of_all_sequences(case):
    lengths, num_tags, seed = case
    torch.manual_seed(seed)
    crf, scores = random_crf(num_tags, scale=2.0), random_scores(lengths, num_tags, scale=3.0)
    tags = Padded(torch.randint(num_tags, scores.data.shape[:2]), scores.lengths)
    found = crf.log_likelihood(scores, tags).detach()
    for row, length in enumerate(lengths):
        worth = all_scores(crf, scores.data[row], length, num_tags)
        log_z = math.log(math.fsum(map(math.exp, worth.values())))
        expected = worth[tuple(tags.data[row, :length].tolist())] - log_z
        assert abs(float(found[row]) - expected) < EXACT * 100


@given(cases)
def test_best_tags_are_those_of_the_enumeration(case):
    lengths, num_tags, seed = case
    torch.manual_seed(seed)
    crf, scores = random_crf(num_tags), random_scores(lengths, num_tags)
    found = crf.decode(scores)
    for row, length in enumerate(lengths):
        worth = all_scores(crf, scores.data[row], length, num_tags)
        assert tuple(found.data[row, :length].tolist()) == max(worth, key=worth.__getitem__)
    assert not found.data[~found.mask].any()


@given(cases)
def test_marginals_are_those_of_the_enumeration_and_sum_to_one(case):
    lengths, num_tags, seed = case
    torch.manual_seed(seed)
    crf, scores = random_crf(num_tags), random_scores(lengths, num_tags)
    found = crf.marginals(scores)
    for row, length in enumerate(lengths):
        weights = {y: math.exp(s) for y, s in all_scores(crf, scores.data[row], length, num_tags).items()}
        total = math.fsum(weights.values())
        for t in range(length):
            for tag in range(num_tags):
                share = math.fsum(weight for y, weight in weights.items() if y[t] == tag) / total
                assert abs(float(found.data[row, t, tag]) - share) < EXACT
    torch.testing.assert_close(found.data.sum(2), found.mask.double(), atol=EXACT, rtol=0)


@given(cases)
def test_best_legal_tags_are_those_of_the_enumeration_of_legal_sequences(case):
    lengths, num_tags, seed = case
    torch.manual_seed(seed)
    legal = tuple(torch.rand(shape) < 0.6 for shape in [(num_tags,), (num_tags, num_tags), (num_tags,)])
    crf, scores = random_crf(num_tags, legal=legal), random_scores(lengths, num_tags)
    found = crf.decode(scores)
    for row, length in enumerate(lengths):
        worth = all_scores(crf, scores.data[row], length, num_tags)
        kept = {
            tags: value
            for tags, value in worth.items()
            if not tags
            or (
                legal[0][tags[0]]
                and legal[2][tags[-1]]
                and all(legal[1][left, right] for left, right in itertools.pairwise(tags))
            )
        }
        worth = kept or worth  # where nothing is legal, the constraint is left out
        assert tuple(found.data[row, :length].tolist()) == max(worth, key=worth.__getitem__)


def test_gradients_are_those_of_finite_differences():
    scores = random_scores([4, 2, 0, 1], 3).data.requires_grad_()
    parts = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in [(3,), (3, 3), (3,)]]
    lengths = torch.tensor([4, 2, 0, 1])

    def both(scores, *parts):
        return log_partition(Padded(scores, lengths), Chain(*parts))

    assert torch.autograd.gradcheck(both, (scores, *parts))


@given(cases)
def test_the_fast_recursion_is_the_one_in_logs_with_its_gradients(case):
    lengths, num_tags, seed = case
    torch.manual_seed(seed)
    scores = random_scores(lengths, num_tags, scale=20.0).data.requires_grad_()
    chain = Chain(
        *(
            (10 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
            for shape in [(num_tags,), (num_tags, num_tags), (num_tags,)]
        )
    )
    weights = torch.randn(len(lengths), dtype=torch.float64)
    results = []
    for run in (log_partition, log_partition_in_logs):
        total = run(Padded(scores, torch.tensor(lengths)), chain)
        results.append(
            (total, *torch.autograd.grad((total * weights).sum(), (scores, *chain), materialize_grads=True))
        )
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-10, rtol=1e-12)


def test_scores_too_far_apart_for_exponentials_are_still_exact():
    scores = Padded(torch.tensor([[[0.0, -2000.0], [-2000.0, 0.0]]], dtype=torch.float64), torch.tensor([2]))
    # 0 -> 1 is worth -5000: the best way is to pay 2000 once.
    between = torch.tensor([[0.0, -5000.0], [0.0, 0.0]], dtype=torch.float64)
    zeros = torch.zeros(2, dtype=torch.float64)
    found = log_partition(scores, Chain(zeros, between, zeros))
    assert found.item() == pytest.approx(-2000 + math.log(2), abs=1e-9)


def test_scores_that_are_not_finite_give_a_loss_that_is_not_finite():
    scores = Padded(torch.tensor([[[0.0, math.nan]]]), torch.tensor([1]))
    assert (
        not CRF(2)
        .log_likelihood(scores, Padded(torch.zeros(1, 1, dtype=torch.long), scores.lengths))
        .isfinite()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_padding_and_batch_mates_change_nothing(dtype):
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    lengths = [5, 0, 3, 1]
    crf, scores = random_crf(4).to(dtype), random_scores(lengths, 4).to(dtype=dtype)
    tags = Padded(torch.randint(4, scores.data.shape[:2]), scores.lengths)
    dirty = Padded(
        torch.cat([scores.masked(math.nan).data, torch.full((4, 2, 4), math.nan, dtype=dtype)], 1), lengths
    )
    dirty_tags = Padded(torch.cat([tags.masked(-7).data, torch.full((4, 2), 99)], 1), lengths)
    together, decoded = crf.log_likelihood(dirty, dirty_tags), crf.decode(dirty).unpad()
    sure = crf.marginals(dirty).unpad()
    for row, (x, y) in enumerate(zip(scores.unpad(), tags.unpad(), strict=True)):
        alone = pad([x])
        torch.testing.assert_close(
            crf.log_likelihood(alone, pad([y])), together[row : row + 1], atol=tolerance, rtol=tolerance
        )
        assert crf.decode(alone).data[0].tolist() == decoded[row].tolist()
        torch.testing.assert_close(crf.marginals(alone).data[0], sure[row], atol=tolerance, rtol=tolerance)


def test_garbage_in_the_padding_gives_no_gradient():
    crf, scores = random_crf(3), random_scores([2, 4], 3)
    dirty = scores.masked(math.nan).data.requires_grad_()
    tags = Padded(torch.zeros(2, 4, dtype=torch.long), scores.lengths)
    crf.log_likelihood(Padded(dirty, scores.lengths), tags).sum().backward()
    assert not dirty.grad[~scores.mask].any()
    assert all(parameter.grad.isfinite().all() for parameter in crf.parameters())


def test_a_batch_without_steps_is_certain():
    crf = CRF(3)
    nothing = Padded(torch.zeros(2, 0, 3), torch.tensor([0, 0]))
    tags = Padded(torch.zeros(2, 0, dtype=torch.long), nothing.lengths)
    assert crf.log_likelihood(nothing, tags).tolist() == [0.0, 0.0]
    assert crf.decode(nothing).data.shape == (2, 0)


def test_marginals_are_found_where_gradients_are_off():
    crf, scores = random_crf(3), random_scores([3], 3)
    expected = crf.marginals(scores).data
    with torch.no_grad():
        assert torch.equal(crf.marginals(scores).data, expected)
    with torch.inference_mode():
        assert torch.equal(crf.marginals(random_scores([3], 3)).data.sum(2).round(), torch.ones(1, 3))


def test_decoding_is_exact_after_training_on_a_rule():
    """A chain that always alternates is learnt from transitions alone: the scores say nothing."""
    crf = CRF(2)
    tags = Padded(torch.tensor([[0, 1, 0, 1, 0]]), torch.tensor([5]))
    scores = Padded(torch.zeros(1, 5, 2), tags.lengths)
    optimizer = torch.optim.SGD(crf.parameters(), lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        (-crf.log_likelihood(scores, tags)).sum().backward()
        optimizer.step()
    assert crf.decode(scores).data.tolist() == tags.data.tolist()


def test_lengths_that_differ_are_refused():
    scores = random_scores([3, 2], 2)
    with pytest.raises(ShapeError, match="one tag for every step"):
        random_crf(2).log_likelihood(
            scores, Padded(torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 3]))
        )


def test_a_legal_table_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="3 tags"):
        Viterbi(3, legal=([True] * 2, [[True] * 2] * 2, [True] * 2))


def test_the_legal_table_is_not_among_the_weights():
    legal = ([True] * 2, [[True] * 2] * 2, [True] * 2)
    assert list(CRF(2, legal=legal).state_dict()) == ["start", "between", "end"]


def test_long_rows_are_decoded_as_exactly_as_short_ones():
    scores = Padded(
        5 * torch.randn(1, 20_000, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([20_000])
    )
    assert torch.equal(CRF(5).decode(scores).data, scores.data.argmax(2))
