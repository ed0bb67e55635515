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
