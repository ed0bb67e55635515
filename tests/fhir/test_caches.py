"""A cache keeps what is short and often asked, and never what is long."""

import tracemalloc
from collections.abc import Callable

import pytest

from apothecary.fhir.caches import short_cache
from apothecary.fhir.references import parse_reference
from apothecary.fhir.ucum import is_valid
from apothecary.search.normalisation import _published
from apothecary.search.text import bare, fold
from apothecary.search.types.token import implied_system
from apothecary.validation.fhirpath.temporal import parse_temporal, parse_time
from apothecary.validation.narrative import defects


def test_short_calls_are_answered_once_and_long_ones_each_time() -> None:
    calls: list[str] = []

    @short_cache(2, longest=3)
    def echo(text: str) -> str:
        calls.append(text)
        return text

    for text in ("abc", "abc", "abcd", "abcd", "a", "b", "abc"):
        assert echo(text) == text
    assert calls == ["abc", "abcd", "abcd", "a", "b", "abc"]


CACHED: dict[str, Callable[[str], object]] = {
    "references": parse_reference,
    "folded texts": fold,
    "bare texts": bare,
    "systems": _published,
    "codes": lambda text: implied_system("http://hl7.org/fhir/ValueSet/administrative-gender", text),
    "units": is_valid,
    "dates": parse_temporal,
    "times": parse_time,
    "narratives": defects,
}


@pytest.mark.parametrize("name", CACHED)
def test_long_texts_from_outside_do_not_stay_in_memory(name: str) -> None:
    ask = CACHED[name]
    ask("x0")
    tracemalloc.start()
    try:
        for number in range(40):
            ask(f"x{number}" + "y" * 200_000)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
