"""The schedules of scheduled sampling: where they begin and end, and that they only fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.config import TeacherForcingName
from elman.errors import ConfigError
from elman.training.plan import Plan
from elman.training.teacher_forcing import SCHEDULES, TeacherForcing

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def test_the_names_are_those_of_the_settings():
    assert set(TeacherForcingName.__args__) == set(SCHEDULES)


@every_schedule
@given(end=st.floats(0.01, 1.0), steps=st.integers(1, 1000))
def test_a_rate_falls_from_one_to_its_end(name, end, steps):
    rule = TeacherForcing(name, total_steps=steps, end_rate=end)
    rates = [rule.truth_rate(steps * tenth // 10) for tenth in range(12)]
    assert rates == sorted(rates, reverse=True)
    near = 0.01  # the sigmoid comes as near as its steepness says
    assert abs(rates[0] - 1) < near
    assert abs(rates[10] - (1 if name == "always" else end)) < near
    assert rates[11] == rule.truth_rate(steps)


def test_the_exponential_falls_by_the_same_factor():
    rule = TeacherForcing("exponential", total_steps=10, end_rate=0.25)
    assert rule.truth_rate(5) == 0.5


def test_the_inverse_sigmoid_is_half_way_in_the_middle():
    assert TeacherForcing("inverse-sigmoid", total_steps=10, end_rate=0.5).truth_rate(5) == 0.75


def test_a_plan_chooses_the_rule():
    rule = Plan(epochs=2, teacher_forcing="linear", teacher_forcing_end=0.0).gradient_rule(8)
    assert isinstance(rule, TeacherForcing) and rule.truth_rate(4) == 0.5


@pytest.mark.parametrize(("name", "end"), [("linear", 1.5), ("exponential", 0.0), ("lineer", 0.5)])
def test_wrong_schedules_are_refused(name, end):
    with pytest.raises(ConfigError):
        TeacherForcing(name, total_steps=10, end_rate=end)
