"""PADDING REPORT: what `check_padding` found, and what to do about it."""

from dataclasses import dataclass, field

from torch import nn

from elman.xray.padding_probes import AMOUNT, MATES


@dataclass(frozen=True)
class Leak:
    """One way in which padding or batch-mates change a module's answers.

    Args:
        what: "values" or "gradients".
        cause: "the content of the padding", "the amount of padding" or "batch-mates".
        probe: what was done that changed them.
        difference: the largest difference.
        row: of the batch, where that is; None for gradients of weights and for sums over the batch.
        tensor: which output, or whose gradient.
        submodule: where the leak enters, by name; "" is the module's own forward. None: it was not found.
        kind: the submodule's class.
        mode: "evaluation" or "training".
        remedy: what to do about it.
    """

    what: str
    cause: str
    probe: str
    difference: float
    row: int | None
    tensor: str
    submodule: str | None
    kind: str
    mode: str
    remedy: str

    def __str__(self) -> str:
        row = "" if self.row is None else f" in row {self.row}"
        place = {None: "an unknown place", "": f"the forward of the module itself ({self.kind})"}.get(
            self.submodule, f"{self.submodule} ({self.kind})"
        )
        mode = " in training mode" if self.mode == "training" else ""
        return (
            f"{self.what} change with {self.cause}{mode} ({self.probe}): by {self.difference:.3g}{row} of "
            f"{self.tensor}; it enters at {place}. {self.remedy}"
        )


@dataclass
class PaddingReport:
    """What `check_padding` found; true when nothing leaks.

    Args:
        leaks: the leaks, the first to be mended first.
        notes: what could not be checked, and what is only dangerous when padding is not finite.
        probes: how many batches were compared.
    """

    leaks: list[Leak] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    probes: int = 0

    def __bool__(self) -> bool:
        return not self.leaks

    def __str__(self) -> str:
        head = [str(leak) for leak in self.leaks] or [f"no leak in {self.probes} comparisons"]
        return "\n".join([*head, *(f"note: {note}" for note in self.notes)])


REMEDIES: list[tuple[tuple[type[nn.Module], ...], str]] = [
    (
        (nn.modules.batchnorm._NormBase,),
        "Normalise real steps alone (norm(x[mask])), or each step by itself (LayerNorm).",
    ),
    (
        (nn.Conv1d, nn.Conv2d, nn.AvgPool1d, nn.MaxPool1d),
        "Write zeros over the padding before it (Padded.masked), so that it reads there what it reads past "
        "the end.",
    ),
    (
        (nn.RNNBase,),
        "Pack the batch (pack_padded_sequence), or use elman.nn's layer with lengths=, so that it ends, and "
        "turns, at the length.",
    ),
    ((nn.MultiheadAttention, nn.TransformerEncoderLayer), "Give it key_padding_mask=~mask."),
    ((nn.Softmax, nn.LogSoftmax), "Write -inf over the scores of padding before it."),
    ((nn.AdaptiveMaxPool1d,), "Write -inf over the padding before it."),
    ((nn.AdaptiveAvgPool1d, nn.GroupNorm), "Sum real steps alone, and divide by the lengths."),
]
"""Modules of torch.nn that look past the length, and what to do about it."""


def remedy(place: nn.Module | None, cause: str) -> str:
    """Return what to do about a leak that enters at this submodule.

    Example:
        >>> remedy(nn.Softmax(-1), MATES)
        'Write -inf over the scores of padding before it.'
    """
    for kinds, words in REMEDIES:
        if isinstance(place, kinds):
            return words
    if cause == MATES:
        return "Let each row be computed from its own steps: no mean, norm or maximum over the batch."
    if cause == AMOUNT:
        return "Read the last step at lengths - 1, and divide by the lengths, not by T (elman.padded.Padded)."
    return "Read real steps alone: mask sums, maxima and softmax by the lengths (elman.padded.Padded)."
