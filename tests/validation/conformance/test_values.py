"""Fixed values are met exactly, patterns at least (https://hl7.org/fhir/R5/elementdefinition.html)."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.fhir.json import parse
from apothecary.validation.conformance.values import equals, fits


@pytest.mark.parametrize(
    ("value", "wanted", "equal", "fit"),
    [
        ("a", "a", True, True),
        ("a", "A", False, False),
        (None, "a", False, False),
        (True, 1, False, False),
        (1, 1, True, True),
        ({"system": "s", "code": "c"}, {"code": "c"}, False, True),
        ({"code": "c"}, {"system": "s", "code": "c"}, False, False),
        ({"code": "c", "system": "s"}, {"system": "s", "code": "c"}, True, True),
        ([{"code": "b"}, {"code": "a"}], [{"code": "a"}], False, True),
        ([{"code": "a"}, {"code": "b"}], [{"code": "b"}, {"code": "a"}], False, True),
        ([{"code": "a"}], [{"code": "a"}, {"code": "b"}], False, False),
        ("a", ["a"], False, False),
        (["a"], "a", False, False),
    ],
)
def test_a_value_meets_what_is_fixed_and_what_is_a_pattern(value: Any, wanted: Any, equal: bool, fit: bool) -> None:
    assert equals(value, wanted) is equal
    assert fits(value, wanted) is fit


def test_decimals_are_compared_by_value() -> None:
    assert equals(parse(b'{"value": 0.50}'), parse(b'{"value": 0.5}'))
