"""Ctrl-C where a plan keeps what there is: training ends with the best weights instead of an error."""

import signal

import pytest
from tiny_training import ACCURACY, make, same_weights

from elman.errors import Interrupted
from elman.training.loop import fit
from elman.training.plan import Observer, Plan, Progress


class Press(Observer):
    """Raises a signal at a step."""

    def __init__(self, number: signal.Signals, step: int) -> None:
        self.number, self.step = number, step

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        if progress.step == self.step:
            signal.raise_signal(self.number)


def train(plan: Plan, values: list[float], **more):
    (pattern, batches), metrics = make(), iter(values)
    return pattern, fit(pattern, batches, plan, evaluate=lambda: {"accuracy": next(metrics)}, **more)


def test_the_weights_are_those_of_the_best_whole_epoch() -> None:
    plan = Plan(epochs=4, keeps_when_interrupted=True, **ACCURACY)
    pattern, outcome = train(plan, [0.9, 0.2, 0.95], observers=[Press(signal.SIGINT, 15)])
    assert (outcome.reason, outcome.step, outcome.epoch, outcome.best_step) == ("interrupted", 15, 2, 6)
    best, _ = train(Plan(epochs=1, **ACCURACY), [0.9])
    assert same_weights(pattern, best) and not pattern.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_before_the_first_epoch_is_over_the_last_weights_are_kept() -> None:
    plan = Plan(epochs=4, keeps_when_interrupted=True, **ACCURACY)
    pattern, outcome = train(plan, [0.9], observers=[Press(signal.SIGINT, 2)])
    assert (outcome.reason, outcome.epoch, outcome.best_step) == ("interrupted", 0, 2)
    assert not same_weights(pattern, make()[0])


@pytest.mark.parametrize(("keeps", "number"), [(True, signal.SIGTERM), (False, signal.SIGINT)])
def test_termination_and_other_plans_end_in_an_error(keeps: bool, number: signal.Signals) -> None:
    plan = Plan(epochs=4, keeps_when_interrupted=keeps, **ACCURACY)
    with pytest.raises(Interrupted, match="nothing was saved"):
        train(plan, [0.9], observers=[Press(number, 2)])
