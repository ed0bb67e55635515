"""An assertion counts once, whichever server it is sent to, and however many it is sent to at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from apothecary.settings import Settings
from apothecary.store import assertions
from apothecary.store.assertions import Assertions
from apothecary.store.open import opened


def test_an_assertion_counts_once_for_all_servers_of_a_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database=database_url)
    with ExitStack() as stack:
        servers = [Assertions(stack.enter_context(opened(settings))) for _ in range(2)]
        assert servers[0].use("a", "1", 100, 0)
        assert not servers[1].use("a", "1", 150, 0)
        assert not servers[0].use("a", "1", 100, 0)
        assert servers[1].use("b", "1", 100, 0)
        assert servers[1].use("a", "2\0\udcff", 100, 0)
        # At the same time.
        with ThreadPoolExecutor(8) as pool:
            for turn in range(5):
                taken = list(pool.map(lambda n, turn=turn: servers[n % 2].use("a", f"turn {turn}", 100, 0), range(8)))
                assert taken.count(True) == 1
        # What could not be used any more is forgotten, in time.
        monkeypatch.setattr(assertions, "EVERY", 0.0)
        assert servers[0].use("a", "1", 300, 101)
        assert not servers[1].use("a", "1", 300, 101)
