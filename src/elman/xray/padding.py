"""CHECK PADDING: find out whether padding or batch-mates change a module's answers, and where it enters.

Shape legend: B batch, T time.

The module is run on the same rows with other padding, more and none of it, with other batch-mates, in another
order and one row at a time. Values at real steps, final vectors, and the gradients of their sum must stay as
they are.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from elman.errors import ConfigError
from elman.xray.padding_probes import (
    MATES,
    Given,
    Probe,
    alone_probes,
    amount_probe,
    bare_probe,
    check_given,
    content_probes,
    mates_probes,
)
from elman.xray.padding_report import Leak, PaddingReport, remedy
from elman.xray.padding_runs import (
    GRADIENT_FACTOR,
    Apart,
    Layout,
    Ran,
    bound,
    compare,
    differs,
    first_run,
    first_to_differ,
    gradients,
    lay_out,
    run,
    set_mode,
    unsqueezed,
    untouched,
    used_tensors,
)
from elman.xray.recorded_calls import Axes, flat_paths, with_rows

LINE = 120
"""Characters of another module's error that a note shows."""


def check_padding(
    module: nn.Module, example: Tensor, lengths: Tensor | Sequence[int], *, training: bool = False
) -> PaddingReport:
    """Return whether padding or batch-mates change the answers or gradients of a module, and where.

    Dropout is off throughout. Weights, gradients, buffers, modes and the random state are left as they were.

    Args:
        module: any module, called as `module(x, lengths)`. It may give a tensor, a `Padded`, a packed
            sequence, or tuples, lists and dicts of them.
        example [B, T, ...]: numbers or ids. Ids drawn from those in it stand in for others; padding is made
            zero, or the one id that stands in the example's own.
        lengths [B]: real steps of each row; handed on as they are.
        training: check training mode too, where normalisation over the batch mixes rows.

    Raises:
        ConfigError: the module cannot be called so, gives no tensor, or gives other numbers each time.
        ShapeError: the example or the lengths have a wrong shape.
        DataError: a real step of the example is not finite.

    Example:
        >>> class LastStep(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.reader = nn.GRU(3, 4, batch_first=True)
        ...     def forward(self, x, lengths):
        ...         return self.reader(x)[0][:, -1]
        >>> report = check_padding(LastStep(), torch.randn(2, 5, 3), [5, 2])
        >>> bool(report), sorted({(leak.cause, leak.submodule) for leak in report.leaks})
        (False, [('the amount of padding', ''), ('the content of the padding', '')])
    """
    given = check_given(example, lengths)
    report = PaddingReport()
    with untouched(module):
        for mode in ("evaluation", "training") if training else ("evaluation",):
            set_mode(module, training=mode == "training")
            _Check(module, given, mode, report).run_all()
    report.notes = list(dict.fromkeys(report.notes))
    return report


class _Check:
    """The comparisons of one module in one mode."""

    def __init__(self, module: nn.Module, given: Given, mode: str, report: PaddingReport) -> None:
        self.module, self.given, self.mode, self.report = module, given, mode, report
        self.leaking: set[str] = set()
        self.known: dict[tuple[int, bool], dict[str, Tensor]] = {}

    def run_all(self) -> None:
        """Run every probe, and write what it finds into the report."""
        self.base = first_run(self.module, self.given)
        if not self._is_steady():
            return
        self.flat = flat_paths(self.base.outputs, self.given.lengths, self.given.data.size(1))
        self.base = self._with_rows(self.base)
        alone_probe = alone_probes(self.given)
        alone = [self._try(probe.given, probe.words) for probe in alone_probe]
        more = amount_probe(self.given)
        longer = self._try(more.given, more.words)
        self.layout = self._lay_out(alone, longer)
        self.used = used_tensors(self.base, self.layout)
        self._look_around()
        if longer is not None:
            self._check(more, longer, self.base)
        self._check_content(longer)
        for probe in mates_probes(self.given):
            ran = self._try(probe.given, probe.words)
            if ran is not None:
                self._check(probe, ran, self.base)
        if len(alone_probe) > 1:
            self._check_alone(alone_probe, alone)
        for row, ran in enumerate(alone):
            self._check_bare(row, ran)

    def _is_steady(self) -> bool:
        """Say whether the module gives the same twice; where not, nothing can be told of it.

        Raises:
            ConfigError: it draws at random in evaluation mode.
        """
        torch.manual_seed(torch.initial_seed() + 1)
        if not differs(self.base.outputs, run(self.module, self.given).outputs):
            return True
        if self.mode == "training":
            self.report.notes.append(
                "not checked: training mode, since the module draws at random in its own forward; use "
                "modules that can be switched off (nn.Dropout, not functional.dropout)"
            )
            return False
        raise ConfigError(
            "the module gives other numbers when it is run twice in evaluation mode; expected one that draws "
            "nothing at random then: let its noise follow self.training."
        )

    def _try(self, given: Given, words: str) -> Ran | None:
        """Return a run, or None with a note when the module refuses this batch although it took the first."""
        try:
            ran = self._with_rows(run(self.module, given))
            return unsqueezed(ran, self.base) if given.data.size(0) == 1 else ran
        except Exception as error:  # whatever a module of somebody else raises
            said = " ".join(f"{type(error).__name__}: {error}".split())[:LINE]
            self.report.notes.append(f"not checked: {words}, which the module refuses ({said})")
            return None

    def _with_rows(self, ran: Ran) -> Ran:
        return replace(ran, outputs=with_rows(ran.outputs, self.flat, ran.given.lengths))

    def _lay_out(self, alone: Sequence[Ran | None], longer: Ran | None) -> Layout:
        return lay_out(self.base, [each for each in alone if each is not None], longer)

    def _look_around(self) -> None:
        """Note what this example cannot show."""
        if self.given.data.size(0) == 1:
            self.report.notes.append(
                "not checked: batch-mates, since the example has one row; give two or more"
            )
        elif not self.given.is_padded:
            self.report.notes.append(
                "not checked: rows of unequal length beside each other, since all have "
                f"{self.given.data.size(1)}; give some that are shorter"
            )
        if not self._gradients_of(self.base, whole=True):
            self.report.notes.append("not checked: gradients, since no output depends on a weight or number")

    def _check_content(self, longer: Ran | None) -> None:
        """Fill the padding; of the longer batch where the example has none."""
        base = self.base if self.given.is_padded else longer
        if base is None:
            self.report.notes.append("not checked: the content of the padding, since the example has none")
            return
        probes = content_probes(base.given)
        if not probes:
            self.report.notes.append(
                f"not checked: the content of the padding, since {base.given.padding} is the only id here"
            )
        for probe in probes:
            ran = self._try(probe.given, probe.words)
            if ran is not None:
                self._check(probe, ran, base)

    def _check_bare(self, row: int, alone: Ran | None) -> None:
        """Compare a row alone with itself without padding."""
        probe = bare_probe(self.given, row)
        if alone is None or probe.given.data.size(1) == self.given.data.size(1):
            return
        bare = self._try(probe.given, probe.words)
        if bare is not None:
            self._check(probe, bare, alone)

    def _gradients_of(self, ran: Ran, *, whole: bool) -> dict[str, Tensor]:
        """Return the gradients of a run that several are compared with, computed once."""
        key = (id(ran), whole)
        if key not in self.known:
            self.known[key] = gradients(self.module, ran, self.layout, whole=whole)
        return self.known[key]

    def _check(self, probe: Probe, ran: Ran, base: Ran) -> None:
        """Compare a run with the one that it should equal."""
        self.report.probes += 1
        apart = self._values_apart(probe, ran, base)
        if apart is not None:
            call = first_to_differ(base, ran, self.layout, probe.rows, self.used)
            place = (call.name, call.module) if call else (None, None)
            self._tell("values", probe, apart, *place)
            return
        before = self._gradients_of(base, whole=probe.is_whole)
        if not before:
            return
        after = gradients(self.module, ran, self.layout, whole=probe.is_whole)
        if not after:
            return  # none of what it gives there could be set beside what it gave
        names = [name for name in before if name == "input" or probe.is_whole]
        found = self._gradients_apart(names, before, after, base, probe.rows)
        if found is not None:
            self._tell("gradients", probe, found, *self._owner(found.path))

    def _values_apart(self, probe: Probe, ran: Ran, base: Ran) -> Apart | None:
        worst: Apart | None = None
        for path, found in base.outputs.items():
            axes, other = self.layout.outputs[path], ran.outputs.get(path)
            if axes.rows is None and not probe.is_whole:
                continue  # a sum over other rows is another sum
            made = None
            if other is not None:
                made = compare(found.value, other.value, axes, base.given.lengths, probe.rows)
            if made is None:
                shape = list(other.value.shape) if other is not None else "missing"
                self.report.notes.append(
                    f"not checked: {path} with {probe.words}; it is {shape} there and "
                    f"{list(found.value.shape)} before, which cannot be set beside each other"
                )
            elif made[0] > bound(found.value, made[2]) and (worst is None or made[0] > worst.difference):
                row = made[1] if probe.row is None else probe.row
                worst = Apart(made[0], row, path)
        return worst

    def _gradients_apart(
        self,
        names: Sequence[str],
        before: dict[str, Tensor],
        after: dict[str, Tensor],
        base: Ran,
        rows: Sequence[tuple[int, int]],
    ) -> Apart | None:
        """Return the gradient that differs most, of those of the module called last."""
        worst: Apart | None = None
        for name in names:
            axes = Axes(0, 1) if name == "input" else Axes(None, None)
            made = compare(before[name], after[name], axes, base.given.lengths, rows)
            if made is None or made[0] <= GRADIENT_FACTOR * bound(before[name], made[2]):
                continue
            if worst is None or made[0] > worst.difference:
                worst = Apart(made[0], made[1], name)
        return worst

    def _check_alone(self, probes: Sequence[Probe], alone: Sequence[Ran | None]) -> None:
        """Compare each row alone with itself in the batch, and the sum of gradients with the batch's."""
        sums: dict[str, Tensor] = {}
        is_known = None not in alone
        for probe, ran in zip(probes, alone, strict=True):
            if ran is None:
                continue
            self._check(probe, ran, self.base)
            own = gradients(self.module, ran, self.layout, whole=False)
            is_known &= bool(own)
            for name, value in own.items():
                sums[name] = sums[name] + value if name in sums else value
        batch = self._gradients_of(self.base, whole=False)
        if not is_known or MATES in self.leaking or not batch:
            return
        names = [name for name in batch if name != "input"]
        found = self._gradients_apart(names, batch, sums, self.base, [(0, 0)])
        if found is not None:
            words = "the sum over rows alone"
            probe = Probe(MATES, words, self.given, [])
            self._tell("gradients", probe, found, *self._owner(found.path))

    def _owner(self, path: str) -> tuple[str | None, nn.Module | None]:
        """Return the submodule of a weight; nothing for the input."""
        if path == "input":
            return None, None
        name = path.rpartition(".")[0]
        return name, self.module.get_submodule(name)

    def _tell(self, what: str, probe: Probe, apart: Apart, name: str | None, place: nn.Module | None) -> None:
        """Put a leak into the report, the first of its cause alone: the probes go from mild to harsh."""
        if probe.cause in self.leaking:
            return
        if probe.harmless_while:
            where = f" through {name or 'the module itself'}" if name is not None else ""
            self.report.notes.append(
                f"with {probe.words} the {what} of {apart.path} differ{where}; harmless while padding is "
                f"{probe.harmless_while}"
            )
            return
        self.leaking.add(probe.cause)
        if any((leak.cause, leak.submodule) == (probe.cause, name) for leak in self.report.leaks):
            return  # told of evaluation mode already
        kind = type(place if place is not None else self.module).__name__
        tensor = apart.path if what == "values" else f"the gradient of {apart.path}"
        leak = Leak(
            what, probe.cause, probe.words, apart.difference, apart.row, tensor, name, kind, self.mode,
            remedy(place, probe.cause),
        )  # fmt: skip
        self.report.leaks.append(leak)
