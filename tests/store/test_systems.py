"""In the index something short stands for a system; what is asked finds it all the same, and nothing else."""

from __future__ import annotations

from apothecary.search.rows import QuantityRow, StringRow, TokenRow
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.systems import kept, short
from tests.store.test_migrate import rows
from tests.store.test_store import find, put

SYSTEM = "http://terminology.hl7.org/CodeSystem/medicationknowledge-package-type"


def test_a_system_is_short_in_every_row_that_has_one_and_none_stays_none() -> None:
    assert kept(TokenRow("p", SYSTEM, "c")) == ("p", short(SYSTEM), "c", 0)
    assert kept(QuantityRow("p", SYSTEM, "mg", "1", "2")) == ("p", short(SYSTEM), "mg", "1", "2", 0)
    assert kept(TokenRow("p", "", "c")) == TokenRow("p", "", "c")
    assert kept(StringRow("p", SYSTEM, SYSTEM, SYSTEM)) == StringRow("p", SYSTEM, SYSTEM, SYSTEM)
    # What is short already could else be written to stand for another one.
    assert short(short(SYSTEM)) != short(SYSTEM) != short(SYSTEM + "x")
    assert short("\ud800")


SEARCHES = [
    (f"code={SYSTEM}|bag", ["a"]),
    (f"code={SYSTEM}|", ["a"]),
    ("code=bag", ["a", "b", "c"]),
    ("code=|bag", ["b"]),
    (f"code={short(SYSTEM)}|bag", ["c"]),
    (f"code:not={SYSTEM}|bag", ["b", "c"]),
    (f"code={SYSTEM}|bag,urn:none|bag", ["a"]),
    (f"identifier:of-type={SYSTEM}|bag|1", ["a"]),
    ("code=urn:none|", []),
]


def test_a_search_finds_codes_by_their_systems(database_url: str) -> None:
    store = open_store(Settings(database=database_url))
    coding = {"system": SYSTEM, "code": "bag"}
    put(store, "Medication/a", code={"coding": [coding]}, identifier=[{"value": "1", "type": {"coding": [coding]}}])
    put(store, "Medication/b", at=2000, code={"coding": [{"code": "bag"}]})
    put(store, "Medication/c", at=3000, code={"coding": [{"system": short(SYSTEM), "code": "bag"}]})
    for query, found in SEARCHES:
        assert find(store, "Medication", query) == found, query
    assert store.has_codes([SYSTEM])
    assert not store.has_codes(["urn:none"])
    (lengths,) = rows(database_url, "SELECT DISTINCT length(system) FROM index_token ORDER BY 1")
    assert lengths == [(0,), (8,)]
    store.close()
