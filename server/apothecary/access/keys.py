"""The keys that access tokens are signed with. The database keeps them for all servers that share it; each signs for a
day, and what it signed can be verified for as long as such a token lives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from joserfc.jwk import ECKey

from apothecary.store.contract import Store, Transaction

# https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html names it for what clients sign.
ALGORITHM, CURVE = "ES384", "P-384"
# Under this name the database has them.
STATE = "token keys"
# A key signs for so long, in seconds; a token lives for at most so long, clocks that differ included.
SIGNS, VERIFIES = 24 * 3600, 2 * 3600
# A key that the database has no more is forgotten after so many seconds.
EVERY = 10.0


class Kept(NamedTuple):
    """A key, and when it was made, in seconds since 1970."""

    made: int
    key: ECKey


class SigningKeys:
    """The keys of one database."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.generation = 0
        """Goes up whenever the database has other keys."""
        self._store, self._clock, self._elapsed = store, clock, elapsed
        self._lock = Lock()
        self._text: str | None = None
        self._kept: tuple[Kept, ...] = ()
        self._looked = float("-inf")

    def current(self) -> ECKey:
        """The key to sign with. Raises as reads and writes of the database do."""
        self._take(self._store.state(STATE))
        if not self._signing(self._kept):
            self._take(self._store.write(self._renew))
        return self._kept[0].key

    def find(self, kid: object) -> tuple[ECKey, ...]:
        """The keys among which one of that kid may be."""
        self.look()
        if not any(one.key.kid == kid for one in self._kept):
            # Another server has made it, perhaps.
            self._take(self._store.state(STATE))
        oldest = self._clock() - SIGNS - VERIFIES
        return tuple(one.key for one in self._kept if one.made > oldest)

    def look(self) -> None:
        """Ask the database for its keys, unless that was done just before."""
        if self._elapsed() - self._looked >= EVERY:
            self._take(self._store.state(STATE))

    def _signing(self, kept: Sequence[Kept]) -> bool:
        # A clock that went back must not make a new key for each token.
        return bool(kept) and kept[0].made > self._clock() - SIGNS

    def _take(self, text: str | None) -> None:
        with self._lock:
            self._looked = self._elapsed()
            if text == self._text:
                return
            self._kept, self._text = _read(text), text
            self.generation += 1

    def _renew(self, transaction: Transaction) -> str:
        """What the database has afterwards: of two servers that come at once, the second finds the first one's."""
        text = transaction.state(STATE)
        kept = _read(text)
        if text is not None and self._signing(kept):
            return text
        now = int(self._clock())
        key = ECKey.generate_key(CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        still = [one for one in kept if one.made > now - SIGNS - VERIFIES]
        made = json.dumps([_written(one) for one in (Kept(now, key), *still)])
        transaction.set_state(STATE, made)
        return made


def _read(text: str | None) -> tuple[Kept, ...]:
    """The newest first."""
    return tuple(Kept(one["made"], ECKey.import_key(one["key"])) for one in json.loads(text or "[]"))


def _written(kept: Kept) -> dict[str, Any]:
    return {"made": kept.made, "key": kept.key.as_dict(private=True)}
