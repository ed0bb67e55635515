"""Ids of what is imported are FHIR's, stable, and told apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apothecary.importers.ids import Ids, stable_id

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def test_what_may_be_an_id_is_one_as_it_stands() -> None:
    assert stable_id("ndc", "0002-1433") == "ndc-0002-1433"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("Eli Lilly and Company", "Eli Lilly and Company."),
        ("ELI LILLY", "Eli Lilly"),
        ("a b", "a_b"),
        ("x" * 100, "x" * 101),
        ("é", "è"),
        ("", " "),
    ],
)
def test_what_differs_has_ids_that_differ(one: str, another: str) -> None:
    assert stable_id("ndc", one) != stable_id("ndc", another)


@given(some.lists(some.text(max_size=90), min_size=1, max_size=3))
def test_any_text_has_an_id(parts: list[str]) -> None:
    assert _ID.fullmatch(stable_id(*parts))


@given(some.lists(some.sampled_from(["a", "a.2", "a.2.2", "a.3", "b"]), max_size=12))
def test_what_comes_again_is_told_apart(codes: list[str]) -> None:
    ids = Ids()
    given_ids = [ids.next("ndc", code) for code in codes]
    assert len(set(given_ids)) == len(codes)


def test_the_order_tells_what_comes_again_apart() -> None:
    ids = Ids()
    assert [ids.next("ndc", "0009-0039") for _ in range(3)] == ["ndc-0009-0039", "ndc-0009-0039.2", "ndc-0009-0039.3"]
