"""Pages of any data, in any order and of any size, show each match exactly once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.settings import Settings
from apothecary.store import plan
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, InProcess
from tests.conformance.walk import backwards, forwards
from tests.mass import much

pytestmark = [pytest.mark.slow, pytest.mark.mass]

REGISTRY = Registry(FhirVersion.R5, ("Medication",))

medications = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["active", "inactive"]),
            "batch": st.fixed_dictionaries(
                {"expirationDate": st.sampled_from(["2026", "2026-05", "2027", "2026-05-11"])}
            ),
        },
    ),
    max_size=12,
)
orders = st.lists(
    st.sampled_from(["status", "-status", "expiration-date", "-expiration-date", "_id", "-_id", "_lastUpdated"]),
    max_size=3,
    unique_by=lambda one: one.removeprefix("-"),
)
filters = st.sampled_from(
    [
        "",
        "status=active,inactive&",
        "status=active&expiration-date=2026-05&",
        "status:not=active&",
        "expiration-date=ge2026&",
        "status:missing=true&",
    ]
)


# With the real limits few resources are searched from the smallest part; with these a walk is tried, and given up for
# what two parts have in common.
LIMITS = {"few": {}, "tried": {"FEW": 1, "FEW_LINKED": 1, "VERY_FEW": 0, "TRIED": 0, "TRIED_FOR_A_HIT": 1}}


@pytest.mark.parametrize("limits", LIMITS)
@given(resources=medications, order=orders, criteria=filters, count=st.integers(1, 5))
@settings(max_examples=much(10, 40), deadline=None)
def test_pages_of_any_data_show_each_match_once(
    limits: str, resources: list[dict[str, Any]], order: list[str], criteria: str, count: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        for name, value in LIMITS[limits].items():
            patched.setattr(plan, name, value)
        chosen = Settings(database=f"sqlite:///{Path(folder) / 'x.db'}", content="", durability="normal")
        store = open_store(chosen)
        with store.transaction() as transaction:
            for number, elements in enumerate(resources):
                resource = {"resourceType": "Medication", "id": f"m{number}", **elements}
                stored = Stored("Medication", f"m{number}", 1, number // 3 * 1_000_000, "R5", dumps(resource))
                transaction.write(stored, "PUT", REGISTRY.rows(resource))
        server = InProcess(chosen, store)
        search = f"{BASE}/Medication?{criteria}" + (f"_sort={','.join(order)}&" if order else "")
        whole = server.ask("GET", search + "_count=1000").ids
        pages = forwards(server, f"{search}_count={count}")
        assert [one for page in pages for one in page.ids] == whole
        assert [page.ids for page in backwards(server, pages[-1])] == [page.ids for page in reversed(pages)]
        pairs = [(pair.split("=")[0], pair.split("=")[1]) for pair in criteria.split("&") if pair]
        found = store.count(parse(Context(REGISTRY, ("Medication",)), pairs).query)
        assert found == len(whole) == len(set(whole))
        store.close()
