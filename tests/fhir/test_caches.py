"""A cache keeps what is short and often asked, and never what is long."""

import datetime
import pickle
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from apothecary.fhir.caches import Repeats, Weighed, short_cache
from apothecary.fhir.json import FhirDecimal
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


def test_a_weighed_cache_keeps_what_was_asked_for_lately_and_never_weighs_too_much() -> None:
    cache: Weighed[int, str] = Weighed(100)
    for number in range(1000):
        cache.put(number, f"v{number}", 10)
        assert cache.weight <= 100
        assert cache.get(0) == "v0", "asked for each time, it stays"
    assert cache.get(999) == "v999"
    assert cache.get(500) is None


def test_a_weighed_cache_takes_nothing_that_fills_it_alone() -> None:
    cache: Weighed[str, str] = Weighed(100)
    cache.put("small", "x", 10)
    cache.put("large", "x", 51)
    assert (cache.get("small"), cache.get("large")) == ("x", None)
    cache.put("small", "y", 20)
    assert (cache.get("small"), cache.weight) == ("y", 20)
    assert pickle.loads(pickle.dumps(cache)).get("small") == "y"  # noqa: S301 (our own)


def test_threads_may_share_a_weighed_cache() -> None:
    cache: Weighed[int, int] = Weighed(1000)

    def work(seed: int) -> None:
        for number in range(3000):
            key = (number * seed) % 97
            found = cache.get(key)
            assert found in (None, key)
            cache.put(key, key, 1 + key % 40)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (3, 5, 7, 11)))
    assert cache.weight <= 1000


def test_values_that_never_come_again_are_not_looked_up_for_long_and_tried_anew_later() -> None:
    repeats = Repeats()
    looked_up = [repeats.key({"code": str(number)}) is not None for number in range(30_000)]
    assert all(looked_up[:200])
    assert sum(looked_up) < 1_500
    assert any(looked_up[20_000:])


def test_values_that_come_again_are_looked_up_for_ever() -> None:
    repeats, known = Repeats(), set()
    for number in range(20_000):
        key = repeats.key({"code": "again" if number % 3 else str(number)})
        assert key is not None
        if key in known:
            repeats.known += 1
        known.add(key)


@pytest.mark.parametrize(
    "other", [{"a": True}, {"a": 1.0}, {"a": "1"}, {"a": [1]}, {"b": 1}, {"a": 1, "b": 1}, ["a", 1]]
)
def test_a_key_tells_values_apart_that_python_compares_as_equal(other: object) -> None:
    key = Repeats().key
    assert key({"a": 1}) == key({"a": 1}) != key(other)
    assert key([1]) != key((1,))


def test_what_is_long_or_no_json_is_not_looked_up() -> None:
    repeats = Repeats()
    assert repeats.key({"div": "x" * 1000}) is None
    assert repeats.key({"value": FhirDecimal("0.5"), "div": "x" * 1000}) is None
    assert repeats.key({"value": FhirDecimal("0.5"), "text": "\ud800"}) is None
    assert repeats.key({"value": object()}) is None


def test_decimals_are_told_apart_by_how_they_are_written_and_from_all_else() -> None:
    key = Repeats().key
    values: list[object] = [FhirDecimal(one) for one in ("0.5", "0.50", "5E-1", "5e-1", "1E3", "1E+3", "1000")]
    values += [Decimal("0.5"), 0.5, "0.5", "Decimal('0.5')", datetime.date(2026, 1, 1), (FhirDecimal("0.5"),)]
    beside = [{"value": FhirDecimal("0.5"), "beside": one} for one in ([1], (1,), 1, True, "1", datetime.date.min)]
    keys = [key(one) for one in (*({"value": one} for one in values), *beside)]
    assert len({one for one in keys if one is not None}) == sum(one is not None for one in keys) >= 14
    assert key({"value": FhirDecimal("0.50")}) == key({"value": FhirDecimal("0.50")})
