"""Addresses lead to views, and no view makes an address."""

from __future__ import annotations

import pytest

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store


def test_what_would_make_addresses_of_routes_is_not_compiled(sqlite_database_url: str) -> None:
    settings = Settings(database=sqlite_database_url, content="")
    store = open_store(settings)
    addresses = create_app(settings, store).url_map.bind("localhost")
    endpoint, values = addresses.match("/fhir/r4/Medication/x/_history/1")
    with pytest.raises(LookupError, match="no addresses are made of /fhir/r4/"):
        addresses.build(endpoint, values)
    store.close()
