"""The keys that tokens are signed with are those of the database: for all its servers, and for a while."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from apothecary.access.keys import EVERY, SIGNS, STATE, VERIFIES, SigningKeys
from apothecary.access.signed import Signed, sign
from apothecary.errors import InvalidToken
from apothecary.settings import Settings
from apothecary.store.open import opened


def test_keys_belong_to_all_servers_of_a_database_and_are_renewed(database_url: str) -> None:
    now = 1_800_000_000.0
    with ExitStack() as stack:
        stores = [stack.enter_context(opened(Settings(database=database_url))) for _ in range(2)]
        one, other = (SigningKeys(store, clock=lambda: now, elapsed=lambda: now) for store in stores)
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: (one, other)[n % 2].current().kid, range(4)))
        assert len(set(made)) == 1
        key = one.current()
        token = Signed.read(sign({"alg": "ES384", "kid": key.kid}, {"a": 1}, key))
        token.verify(other.find(key.kid), ("ES384",))

        now += SIGNS
        new = other.current()
        assert new.kid != key.kid
        # The other server learns of it by the first token.
        assert {found.kid for found in one.find(new.kid)} == {key.kid, new.kid}
        token.verify(one.find(key.kid), ("ES384",))
        now += VERIFIES
        with pytest.raises(InvalidToken):
            token.verify(one.find(key.kid), ("ES384",))
        assert one.current().kid == new.kid

        # Without its keys the database has given no token that counts.
        generation = one.generation
        stores[0].write(lambda transaction: transaction.forget_state(STATE))
        now += EVERY
        one.look()
        assert (one.find(new.kid), one.generation) == ((), generation + 1)


def test_a_clock_that_goes_back_makes_no_key_for_each_token(sqlite_database_url: str) -> None:
    now = 1_800_000_000.0
    with opened(Settings(database=sqlite_database_url)) as store:
        keys = SigningKeys(store, clock=lambda: now)
        first = keys.current().kid
        now -= 10 * SIGNS
        assert keys.current().kid == first
