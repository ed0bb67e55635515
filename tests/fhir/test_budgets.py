"""A budget ends what costs too much, by its steps or by its clock, and lets everything else be."""

import pytest

from apothecary.errors import BudgetSpent
from apothecary.fhir.budgets import Budget


def test_a_budget_lets_pass_as_many_steps_as_it_has_and_no_more() -> None:
    budget = Budget(10)
    for _ in range(10):
        budget.spend(1)
    with pytest.raises(BudgetSpent, match="too many steps"):
        budget.spend(1)


def test_a_budget_that_is_spent_stays_spent() -> None:
    budget = Budget(10)
    with pytest.raises(BudgetSpent):
        budget.spend(11)
    with pytest.raises(BudgetSpent):
        budget.spend(1)


def test_a_budget_of_time_is_over_when_its_clock_says_so() -> None:
    now = [0.0]
    budget = Budget(1_000_000, seconds=5, clock=lambda: now[0])
    budget.spend(10_000)
    now[0] = 5.1
    with pytest.raises(BudgetSpent, match="too long"):
        budget.spend(10_000)
    with pytest.raises(BudgetSpent):
        budget.spend(1)


def test_the_clock_is_not_looked_at_for_every_step() -> None:
    looks: list[int] = []

    def clock() -> float:
        looks.append(1)
        return 0.0

    budget = Budget(10_000, seconds=5, clock=clock)
    for _ in range(10_000):
        budget.spend(1)
    assert len(looks) < 20


def test_evaluations_share_a_budget_and_none_takes_more_than_it_may() -> None:
    budget = Budget(250)
    with pytest.raises(BudgetSpent):
        budget.begin(100).spend(101)
    budget.begin(100).spend(100)
    with pytest.raises(BudgetSpent):
        budget.begin(100).spend(51)


def test_an_evaluation_that_goes_on_after_its_end_takes_nothing_from_the_next() -> None:
    budget = Budget(200)
    budget.begin(100)
    for _ in range(5):
        with pytest.raises(BudgetSpent):
            budget.spend(101)
    budget.begin(100).spend(100)


def test_small_evaluations_do_not_use_up_what_is_meant_for_great_ones() -> None:
    budget = Budget(1_000)
    for _ in range(1_000):
        budget.begin(500, earned=100).spend(90)
    budget.begin(500, earned=100).spend(500)


def test_each_evaluation_has_the_whole_time() -> None:
    now = [0.0]
    budget = Budget(1_000_000, seconds=5, clock=lambda: now[0])
    for _ in range(3):
        now[0] += 4
        budget.begin(100_000).spend(10_000)
