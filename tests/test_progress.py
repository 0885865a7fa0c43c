"""What a person sees while a model trains, on a terminal and elsewhere."""

import io

import pytest

from elman import progress
from elman.progress import SteadyConsole
from elman.training.plan import Outcome, Plan, Progress

PLAN = Plan(epochs=4, metric="accuracy", larger_is_better=True)


class Clock:
    """A clock that moves only when told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def terminal(width=80):
    return SteadyConsole(
        file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None
    )


def no_terminal():
    return SteadyConsole(file=io.StringIO(), force_terminal=False, width=80, highlight=False)


def train(display, clock, *, steps=10, epochs=2, seconds=1.0):
    """Act out a training of `steps` steps an epoch, `seconds` each."""
    state = Progress()
    display.on_start(state, PLAN, steps)
    for epoch in range(1, epochs + 1):
        for _ in range(steps):
            clock.now += seconds
            state.step += 1
            state.loss_sum, state.loss_count = state.loss_sum + 0.5, state.loss_count + 1
            display.on_step(state, 0.5, 1.0, 32)
        display.on_evaluate(state)
        clock.now += 2.0
        state.epoch = epoch
        row = {"epoch": epoch, "train": {"loss": 0.5}, "valid": {"accuracy": 0.75, "loss": 0.6}}
        display.on_epoch(row, {"seconds": 12.0, "sequences_per_second": 32.0}, epoch == 1)
    return state


def test_without_a_terminal_every_epoch_is_a_line(clock, capsys):
    console = no_terminal()
    with progress.display(console) as shown:
        train(shown, clock, seconds=0.1)
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/4", "epoch 2/4"]
    assert "loss 0.500" in lines[0] and "accuracy 75.0 %" in lines[0] and "32 sequences/s" in lines[0]
    assert lines[0].endswith("best") and not lines[1].endswith("best")


@pytest.mark.parametrize("width", [70, 80, 200])
def test_on_a_terminal_an_epoch_is_one_line_that_fits(width, clock):
    shown = progress.Display(terminal(width))
    shown.plan = PLAN
    row = {"epoch": 1, "train": {"loss": 0.5}, "valid": {"accuracy": 0.75, "loss": 0.6}}
    shown.on_epoch(row, {"seconds": 12.0, "sequences_per_second": 12345.0}, True)
    line = shown.console.file.getvalue().rstrip("\n")
    assert len(line) <= width and line.endswith("0:12  best") and "accuracy 75.0 %" in line
    assert ("sequences/s" in line) == (width == 200)


def test_without_a_terminal_a_line_comes_at_least_every_ten_seconds(clock, capsys):
    with progress.display(no_terminal()) as shown:
        train(shown, clock, steps=60, epochs=1, seconds=1.0)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 60 // progress.LINE_SECONDS
    assert "left" in said[0] and "loss 0.500" in said[0]


def test_plain_lines_hold_no_control_characters(clock, capsys):
    console = no_terminal()
    with progress.display(console) as shown:
        train(shown, clock, steps=60)
    text = console.file.getvalue() + capsys.readouterr().err
    assert not [character for character in text if ord(character) < 32 and character != "\n"]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
def test_the_live_line_fits_the_terminal(width, clock):
    shown = progress.Display(terminal(width))
    state = train(shown, clock)
    state.best_metric = 0.75
    line = shown.line(state, clock.now, width)
    shown.close()
    assert line.cell_len <= width
    assert "epoch" in line.plain


def test_a_wide_terminal_shows_loss_metric_speed_and_time_left(clock):
    shown = progress.Display(terminal(200))
    state = train(shown, clock)
    state.best_metric = 0.75
    clock.now += 1
    shown.on_step(state, 0.5, 1.0, 32)
    clock.now += 1
    shown.on_step(state, 0.5, 1.0, 32)
    line = shown.line(state, clock.now, 200).plain
    shown.close()
    for part in ("epoch 3/4", "50 %", "loss 0.500", "best accuracy 75.0 %", "sequences/s", "left", "━"):
        assert part in line


def test_the_time_left_is_the_pace_so_far_times_the_steps_to_come(clock):
    shown = progress.Display(no_terminal())
    state = Progress()
    shown.on_start(state, PLAN, 10)
    clock.now += 20
    state.step = 10
    assert shown.seconds_left(state, clock.now) == pytest.approx(20 / 10 * 30)


def test_the_time_left_of_a_resumed_run_counts_the_steps_of_this_call_alone(clock):
    shown = progress.Display(no_terminal())
    state = Progress(step=30, epoch=3)
    shown.on_start(state, PLAN, 10)
    clock.now += 5
    state.step = 35
    assert shown.seconds_left(state, clock.now) == pytest.approx(5.0)


def test_the_time_left_is_never_more_than_max_minutes_leaves(clock):
    shown = progress.Display(no_terminal())
    state = Progress()
    shown.on_start(state, Plan(epochs=100, max_minutes=1.0), 10)
    clock.now += 30
    state.step = 10
    assert shown.seconds_left(state, clock.now) == pytest.approx(30.0)


def test_speed_is_that_of_the_last_seconds_of_training(clock):
    shown = progress.Display(no_terminal())
    state = Progress()
    shown.on_start(state, PLAN, 1000)
    for sequences in [1] * 20 + [100] * 20:
        clock.now += 1
        state.step += 1
        shown.on_step(state, 0.5, 1.0, sequences)
    assert shown.speed() == pytest.approx(100.0)


def test_before_the_first_step_there_is_a_line_without_loss(clock):
    shown = progress.Display(no_terminal())
    state = Progress()
    shown.on_start(state, PLAN, 10)
    assert "loss" not in shown.line(state, clock.now, 80).plain
    assert shown.seconds_left(state, clock.now) is None


def test_an_exception_gives_the_terminal_back(clock):
    console = terminal()
    shown = progress.display(console)
    with pytest.raises(RuntimeError), shown:
        shown.on_start(Progress(), PLAN, 10)
        raise RuntimeError
    assert shown.live is None
    written = console.file.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "the cursor is still hidden"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not progress.display(SteadyConsole(file=io.StringIO(), force_terminal=True)).is_live


class ClosedPipe(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_reader_who_has_gone_away_does_not_stop_the_training(is_terminal, clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", ClosedPipe())
    with progress.display(SteadyConsole(file=ClosedPipe(), force_terminal=is_terminal)) as shown:
        train(shown, clock, steps=60)
        shown.on_end(Outcome("finished", 20, 2, 10, 1, {"accuracy": 0.75}, 0, 26.0))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("finished", "4 epochs done"),
        ("patience", "3 epochs without a better accuracy"),
        ("time", "stopped after 2 minutes, as asked"),
    ],
)
def test_the_last_line_says_why_and_what_was_kept(reason, words):
    outcome = Outcome(reason, 40, 4, 20, 2, {"accuracy": 0.75}, 0, 83.0)
    said = progress.ending(outcome, Plan(epochs=9, metric="accuracy", patience=3, max_minutes=2.0))
    assert words in said and "epoch 2" in said and "75.0 %" in said and "1:23" in said


def test_an_epoch_without_a_loss_or_a_metric_is_still_a_line():
    line = progress.epoch_line(
        {"epoch": 1, "train": {"loss": None}, "valid": {"accuracy": None}}, {}, PLAN, False
    )
    assert line.startswith("epoch 1/4") and "–" in line


def test_a_long_line_is_folded_between_its_parts():
    line = "chosen: " + ", ".join(f"setting_{number} {number}" for number in range(40))
    folded = progress.fold(line, 60).splitlines()
    assert len(folded) > 5 and all(len(each) <= 60 for each in folded)
    assert all(each.startswith("    setting_") for each in folded[1:])
    assert " ".join(each.strip() for each in folded) == line
    assert progress.fold("short", 3) == "short"


def test_without_a_terminal_lines_are_folded_to_a_page(capsys):
    progress.announce(", ".join(["word"] * 40))
    assert max(map(len, capsys.readouterr().err.splitlines())) <= progress.PLAIN_WIDTH


def test_a_single_epoch_is_no_plural():
    outcome = Outcome("finished", 10, 1, 10, 1, {}, 0, 1.0)
    assert progress.ending(outcome, Plan(epochs=1, metric="accuracy")).startswith("1 epoch done")
