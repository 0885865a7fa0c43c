"""CRF: a linear-chain conditional random field, which scores whole sequences of tags instead of single tags.

Shape legend: B batch, T time, K tags.

``p(y | x) = exp(s(x, y)) / Z(x)``,
``s(x, y) = start[y_1] + sum_t x_t[y_t] + sum_t between[y_(t-1), y_t] + end[y_T]``,
where x_t are the scores that a network gives each tag at step t. The empty sequence has s = 0 and Z = 1.

Source: Lafferty, McCallum and Pereira 2001, section 3; on top of a BiLSTM: Huang et al. 2015, Lample et al.
2016.
"""

from typing import Any, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from elman.errors import ShapeError
from elman.padded import Padded, gather_steps

LARGEST_RANGE = 600.0
"""Sums of scores may differ by so much before their float64 exponentials (up to e**-708) lose precision."""


class Chain(NamedTuple):
    """What a sequence of tags is worth, apart from the scores of its steps.

    Attributes:
        start [K]: of the first tag.
        between [K, K]: of a tag (column) after a tag (row).
        end [K]: of the last tag.
    """

    start: Tensor
    between: Tensor
    end: Tensor


Legal = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Which tags may stand where, True or False: at the start [K], after each tag [K, K], at the end [K]."""


class Viterbi(nn.Module):
    """Find the best sequence of tags, among those that are legal.

    Args:
        num_tags: K.
        legal: which tags may stand where (`metrics.legal_transitions`); None: everything may.

    Where no legal sequence exists (a row of one step, and no tag that may both start and end), the row is
    decoded without the constraint.

    Source: Viterbi 1967; Forney 1973.

    Example:
        >>> scores = Padded(torch.tensor([[[0., 1.], [2., 0.]]]), torch.tensor([2]))
        >>> Viterbi(2)(scores).data.tolist()
        [[1, 0]]
        >>> legal = [True, True], [[True, True], [False, True]], [True, True]
        >>> Viterbi(2, legal=legal)(scores).data.tolist()
        [[0, 0]]
    """

    legal_start: Tensor
    legal_between: Tensor
    legal_end: Tensor

    def __init__(self, num_tags: int, *, legal: Legal | None = None) -> None:
        super().__init__()
        self.is_free = legal is None
        shapes = {"start": (num_tags,), "between": (num_tags, num_tags), "end": (num_tags,)}
        given = legal or tuple(torch.ones(shape, dtype=torch.bool) for shape in shapes.values())
        for (name, shape), part in zip(shapes.items(), given, strict=True):
            mask = torch.as_tensor(part, dtype=torch.bool)
            if tuple(mask.shape) != shape:
                raise ShapeError(
                    f"legal {name} has shape {tuple(mask.shape)}, expected {shape}: {num_tags} tags."
                )
            # They follow from the tags' names, so they are not saved with the weights.
            self.register_buffer(f"legal_{name}", mask, persistent=False)

    @torch.no_grad()
    def forward(self, scores: Padded, chain: Chain | None = None) -> Padded:
        """Return the best tags, int64, Padded [B, T], 0 in the padding.

        Args:
            scores: Padded *[B, T, K]*.
            chain: what starts, transitions and ends are worth; None: nothing.
        """
        if scores.data.size(1) == 0:
            return scores.with_data(scores.data.new_zeros(scores.data.shape[:2], dtype=torch.int64))
        if chain is None:
            chain = Chain(*(torch.zeros(mask.shape).to(scores.data) for mask in self._masks()))
        if self.is_free:
            return scores.with_data(_best_tags(scores, chain)[0])
        forbidden = Chain(
            *(torch.where(mask, part, -torch.inf) for mask, part in zip(self._masks(), chain, strict=True))
        )
        tags, best = _best_tags(scores, forbidden)
        is_impossible = torch.isneginf(best)
        if is_impossible.any():
            tags = torch.where(is_impossible.unsqueeze(1), _best_tags(scores, chain)[0], tags)
        return scores.with_data(tags)

    def _masks(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.legal_start, self.legal_between, self.legal_end


class CRF(nn.Module):
    """Score whole sequences of tags, learn which tag follows which, and find the best sequence.

    Args:
        num_tags: K.
        legal: which tags may stand where, for `decode` alone: training scores all sequences.

    Parameters (all zero at first, so that training starts from independent tags): start [K], between [K, K]
    (row: the tag before), end [K].

    Example:
        >>> crf = CRF(3)
        >>> scores = Padded(torch.zeros(2, 4, 3), torch.tensor([4, 1]))
        >>> tags = Padded(torch.zeros(2, 4, dtype=torch.long), scores.lengths)
        >>> crf.log_likelihood(scores, tags).exp()
        tensor([0.0123, 0.3333], grad_fn=...)
    """

    def __init__(self, num_tags: int, *, legal: Legal | None = None) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.between = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        self.viterbi = Viterbi(num_tags, legal=legal)

    @property
    def chain(self) -> Chain:
        """The parameters together."""
        return Chain(self.start, self.between, self.end)

    def log_likelihood(self, scores: Padded, tags: Padded) -> Tensor:
        """Return log p(tags | scores) of each row, [B].

        Args:
            scores: Padded *[B, T, K]*.
            tags: Padded *[B, T]*, int64, 0..K-1.

        Raises:
            ShapeError: the two have other lengths, or another T.
        """
        if scores.lengths.tolist() != tags.lengths.tolist() or scores.data.shape[:2] != tags.data.shape:
            raise ShapeError(
                f"scores {tuple(scores.data.shape)} have lengths {scores.lengths.tolist()} but tags "
                f"{tuple(tags.data.shape)} have {tags.lengths.tolist()}; expected one tag for every step."
            )
        # In float64 until here: both are large where their difference is small.
        return (self._score(scores, tags) - log_partition(scores, self.chain)).to(scores.data.dtype)

    def decode(self, scores: Padded) -> Padded:
        """Return the most probable legal tags, int64, Padded [B, T], 0 in the padding."""
        best: Padded = self.viterbi(scores, Chain(*(part.detach() for part in self.chain)))
        return best

    def marginals(self, scores: Padded) -> Padded:
        """Return p(y_t = k | x), Padded [B, T, K], without a gradient: how sure each tag is."""
        # The derivative of log Z by a score is the expected number of times that the score is used.
        with torch.inference_mode(False), torch.enable_grad():
            free = scores.data.detach().clone().requires_grad_()
            total = log_partition(
                scores.with_data(free), Chain(*(part.detach() for part in self.chain))
            ).sum()
            (expected,) = torch.autograd.grad(total, free)
        return scores.with_data(expected)

    def _score(self, scores: Padded, tags: Padded) -> Tensor:
        """Give s(x, y), [B], in float64."""
        if scores.data.size(1) == 0:
            return scores.data.new_zeros(scores.data.size(0), dtype=torch.float64)
        mask = scores.mask
        ids = torch.where(mask, tags.data, 0)
        emitted = scores.data.gather(2, ids.unsqueeze(2)).squeeze(2).double()
        # index_select of the flat table: its gradient is a plain sum, in the same order on every run.
        pairs = ids[:, :-1] * len(self.end) + ids[:, 1:]
        passed = self.between.flatten().index_select(0, pairs.flatten()).reshape(pairs.shape).double()
        bounds = self.start.index_select(0, ids[:, 0]) + self.end.index_select(
            0, scores.with_data(ids).last()
        )
        inside = torch.where(mask, emitted, 0.0).sum(1) + torch.where(mask[:, 1:], passed, 0.0).sum(1)
        return inside + torch.where(mask[:, 0], bounds, 0.0)


def log_partition(scores: Padded, chain: Chain) -> Tensor:
    """Return log Z, the log of the sum of exp(s(x, y)) over all sequences y, [B], float64.

    Args:
        scores: Padded *[B, T, K]*.
        chain: what starts, transitions and ends are worth.

    Example:
        >>> zeros = Chain(torch.zeros(3), torch.zeros(3, 3), torch.zeros(3))
        >>> log_partition(Padded(torch.zeros(1, 2, 3), torch.tensor([2])), zeros).exp().round()
        tensor([9.], dtype=torch.float64)
    """
    if scores.data.numel() == 0:
        return scores.data.sum((1, 2)).double()
    scores = scores.masked()
    if _has_small_range(scores.data, chain):
        total: Tensor = _LogPartition.apply(scores.data, *chain, scores.lengths)
        return total
    return log_partition_in_logs(scores, chain)


def log_partition_in_logs(scores: Padded, chain: Chain) -> Tensor:
    """Return the same as `log_partition`, whatever the range of the scores, by the textbook recursion.

    ``a_1 = start + x_1``, ``a_t[k] = x_t[k] + logsumexp_j (a_(t-1)[j] + between[j, k])``,
    ``log Z = logsumexp_k (a_T[k] + end[k])``

    Source: Rabiner 1989, eq. 19-21, in logs.
    """
    start, between, end = (part.double() for part in chain)
    mask = scores.mask
    steps = scores.data.double().unbind(1)
    forward = start + steps[0]
    for t in range(1, len(steps)):
        following = steps[t] + torch.logsumexp(forward.unsqueeze(2) + between, 1)
        forward = torch.where(mask[:, t].unsqueeze(1), following, forward)
    return torch.where(mask[:, 0], torch.logsumexp(forward + end, 1), 0.0)


@torch.no_grad()
def _has_small_range(scores: Tensor, chain: Chain) -> bool:
    """Whether no path is e**-LARGEST_RANGE times less probable than another through the same steps."""
    spread = (scores.amax(2) - scores.amin(2)).max()  # not aminmax, ten times slower along a dimension
    for part in chain:
        spread = spread + (part.max() - part.min())
    return bool(spread < LARGEST_RANGE)  # False for NaN: the other recursion shows it


class _LogPartition(torch.autograd.Function):
    """The recursion of `log_partition_in_logs` on probabilities: a step is one product of matrices.

    Every exponential is taken before the loop, of differences to the largest, and each step is scaled to sum
    1 (Rabiner 1989, section V.A), in float64. Where `_has_small_range`, no number leaves float64's range, and
    sums of positive numbers lose nothing, so the result is as exact as in logs. The gradient is the backward
    recursion: expected counts, also without a logarithm.
    """

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, start: Tensor, between: Tensor, end: Tensor, lengths: Tensor
    ) -> Tensor:
        x_TBK = scores.double().transpose(0, 1)
        lengths = lengths.to(scores.device)
        highest_TB = x_TBK.amax(2)
        x_TBK = torch.exp(x_TBK - highest_TB.unsqueeze(2))
        start, start_peak = _exponentials(start)
        between, between_peak = _exponentials(between)
        end, end_peak = _exponentials(end)

        num_steps, batch, num_tags = x_TBK.shape
        alpha_TBK = torch.empty(num_steps, batch, num_tags, dtype=torch.float64, device=scores.device)
        scale_TB1 = torch.empty(num_steps, batch, 1, dtype=torch.float64, device=scores.device)
        torch.mul(start, x_TBK[0], out=alpha_TBK[0])
        rows = list(zip(alpha_TBK.unbind(0), x_TBK.unbind(0), scale_TB1.unbind(0), strict=True))
        for t, (alpha, x, scale) in enumerate(rows):
            if t:
                torch.mm(rows[t - 1][0], between, out=alpha).mul_(x)
            torch.sum(alpha, 1, keepdim=True, out=scale)
            alpha.div_(scale)

        is_real_TB = torch.arange(num_steps, device=lengths.device).unsqueeze(1) < lengths
        last = (lengths - 1).clamp(min=0)
        final_BK = gather_steps(alpha_TBK.transpose(0, 1), last.unsqueeze(1)).squeeze(1)
        finish_B = final_BK @ end
        along = torch.where(is_real_TB, scale_TB1.squeeze(2).log() + highest_TB, 0.0).sum(0)
        total = along + finish_B.log() + start_peak + end_peak + last * between_peak
        ctx.save_for_backward(x_TBK, alpha_TBK, scale_TB1, is_real_TB, finish_B, start, between, end)
        ctx.dtype = scores.dtype
        return torch.where(lengths > 0, total, 0.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_TBK, alpha_TBK, scale_TB1, is_real_TB, finish_B, _, between, end = ctx.saved_tensors
        num_steps = len(x_TBK)
        # weight_t[k]: what going on through tag k at t is worth, so that beta_(t-1) = between @ weight_t.
        weight_TBK = x_TBK / scale_TB1
        ending_BK = end / finish_B.unsqueeze(1)
        beta_TBK = torch.empty_like(alpha_TBK)
        beta_TBK[-1] = ending_BK
        is_inner = is_real_TB.unsqueeze(2).unbind(0)
        is_ragged = not bool(is_real_TB.all())
        backwards = between.t()
        for t in range(num_steps - 1, 0, -1):
            weight = weight_TBK[t].mul_(beta_TBK[t])
            before = torch.mm(weight, backwards, out=beta_TBK[t - 1])
            if is_ragged:
                beta_TBK[t - 1] = torch.where(is_inner[t], before, ending_BK)
        scaled_TBK = torch.where(is_real_TB.unsqueeze(2), gradient.unsqueeze(1), 0.0)
        counts_TBK = alpha_TBK * beta_TBK * scaled_TBK
        weighted = (weight_TBK[1:] * scaled_TBK[1:]).flatten(0, 1)
        pairs_KK = between * (alpha_TBK[:-1].flatten(0, 1).t() @ weighted)
        final_TB = is_real_TB & ~torch.cat([is_real_TB[1:], torch.zeros_like(is_real_TB[:1])])
        ends_K = torch.where(final_TB.unsqueeze(2), counts_TBK, 0.0).sum((0, 1))
        found = (counts_TBK.transpose(0, 1), counts_TBK[0].sum(0), pairs_KK, ends_K)
        return (*(part.to(ctx.dtype) for part in found), None)


def _exponentials(values: Tensor) -> tuple[Tensor, Tensor]:
    """Give exp(values - peak) and the peak, in float64."""
    values = values.double()
    peak = values.max()
    return torch.exp(values - peak), peak


def _best_tags(scores: Padded, chain: Chain) -> tuple[Tensor, Tensor]:
    """Give the best tags [B, T] and what they are worth [B]; ties go to the tag that argmax takes."""
    # float64: over a thousand steps float32 sums are as coarse as the differences between tags.
    start, between, end = (part.double() for part in chain)
    into = between.t().contiguous()  # [tag, tag before]: the maximum then runs over neighbours in memory
    steps = scores.masked().data.double().unbind(1)
    best = [start + steps[0]]
    for score in steps[1:]:
        best.append(score + (best[-1].unsqueeze(1) + into).amax(2))
    values = scores.with_data(torch.stack(best, 1)).last() + end
    final = values.argmax(1)
    tags = torch.zeros(scores.data.shape[:2], dtype=torch.int64, device=scores.data.device)
    lengths = scores.lengths.to(tags.device)
    current = final
    for t in range(len(steps) - 1, -1, -1):
        if t + 1 < len(steps):
            before = (best[t] + into[current]).argmax(1)
            current = torch.where(lengths > t + 1, before, final)
        tags[:, t] = torch.where(lengths > t, current, 0)
    return tags, torch.where(lengths > 0, values.amax(1), 0.0)
