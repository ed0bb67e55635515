"""The index has rows shorter than extraction makes them; what is asked finds them all the same, and nothing else."""

from __future__ import annotations

from apothecary.search.rows import DateRow, QuantityRow, StringRow, TokenRow, UriRow
from apothecary.search.text import KEY_LENGTH
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
    assert kept(DateRow("p", 1, 2)) == DateRow("p", 1, 2)
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


LONG = "a" * KEY_LENGTH


def test_a_text_that_is_no_longer_than_its_beginning_stands_in_its_row_once() -> None:
    assert kept(StringRow("p", "acid", "acid", "Ácid")) == ("p", "acid", "", "Ácid", 0)
    assert kept(StringRow("p", LONG, f"{LONG}b", "")) == ("p", LONG, f"{LONG}b", "", 0)
    assert kept(UriRow("p", "urn:a", "urn:a")) == ("p", "urn:a", "", 0)
    assert kept(UriRow("p", LONG, f"{LONG}b")) == ("p", LONG, f"{LONG}b", 0)


# Names of an Organization, and sources of a Medication: short ones, of just the length of a beginning, and longer ones.
TEXTS = {"short": "acid", "even": LONG, "longer": f"{LONG}b", "none": "!"}
ASKED = [
    ("Organization", "name=acid", ["short"]),
    ("Organization", f"name={LONG}", ["even", "longer"]),
    ("Organization", f"name={LONG}b", ["longer"]),
    ("Organization", "name:contains=cid", ["short"]),
    ("Organization", "name:contains=aab", ["longer"]),
    ("Organization", "name:exact=acid", ["short"]),
    ("Organization", f"_filter=name eq {LONG}", ["even"]),
    ("Organization", f"_filter=name ne {LONG}", ["longer", "none", "short"]),
    ("Organization", "_filter=name ew cid", ["short"]),
    ("Organization", f"_filter=name gt {LONG}", ["longer", "short"]),
    ("Medication", "_source=acid", ["short"]),
    ("Medication", f"_source={LONG}", ["even"]),
    ("Medication", f"_source={LONG}b", ["longer"]),
    ("Medication", "_source:contains=ci", ["short"]),
    ("Medication", "_source:contains=ab", ["longer"]),
    ("Medication", "_filter=_source ne acid", ["even", "longer", "none"]),
]


def test_texts_of_every_length_are_found_by_all_of_them(database_url: str) -> None:
    store = open_store(Settings(database=database_url))
    for number, (name, said) in enumerate(TEXTS.items()):
        put(store, f"Organization/{name}", at=1000 * number, name=said)
        put(store, f"Medication/{name}", at=1000 * number, meta={"source": said})
    for kind, query, found in ASKED:
        assert find(store, kind, query) == found, query
    for table, column in (("string", "folded"), ("uri", "value")):
        (lengths,) = rows(database_url, f"SELECT DISTINCT length({column}) FROM index_{table} ORDER BY 1")
        assert lengths == [(0,), (KEY_LENGTH + 1,)], table
    store.close()
