"""Who sends a request, by its access token: https://www.rfc-editor.org/rfc/rfc6750

What was verified once is remembered until the token ends, or a client or a key is another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from apothecary.access.clients import Clients
from apothecary.access.ehr import Ehrs
from apothecary.access.grant import Grant
from apothecary.access.issuers import Issuers
from apothecary.access.keys import ALGORITHM, SigningKeys
from apothecary.access.scopes import Scopes
from apothecary.access.signed import Signed
from apothecary.access.token import TYPE
from apothecary.errors import InvalidToken

# So many tokens are remembered, each for so many seconds: then the keys of its issuer are asked for again.
MOST, SECONDS = 10_000, 300.0

Marks = tuple[int, int, int]


class Known(NamedTuple):
    """A grant, until when it is remembered (seconds since 1970), and what it hangs on."""

    grant: Grant
    until: float
    marks: Marks


class Bearers:
    """Knows who sends a token."""

    def __init__(
        self,
        issuer: str,
        clients: Clients | None,
        keys: SigningKeys,
        issuers: Issuers,
        ehrs: Ehrs | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`issuer` is this server's address, in tokens of its own; without `clients` there are none of these. `ehrs`
        are taken where CDS Hooks are offered.
        """
        self._issuer, self._clients, self._keys, self._issuers = issuer, clients, keys, issuers
        self._ehrs = ehrs
        self._clock = clock
        self._lock = Lock()
        self._known: dict[bytes, Known] = {}

    def grant(self, token: str, path: str = "") -> Grant:
        """What a token grants that is sent to a path. Raises InvalidToken; Unreachable where nobody can tell now."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        now, marks = self._clock(), self._marks()
        found = self._known.get(digest)
        if found is not None and found.marks == marks and now < found.until:
            return found.grant
        signed = Signed.read(token)
        issuer = signed.claims.get("iss")
        if self._ehrs is not None and self._of_ehr(signed, self._ehrs, path):
            # It counts once, so there is nothing to remember.
            return self._ehrs.grant(signed, path)
        if issuer == self._issuer and self._clients is not None:
            grant = self._own(signed, self._clients, now)
        elif isinstance(issuer, str) and issuer in self._issuers:
            grant = self._issuers.grant(signed)
        else:
            raise InvalidToken("the token is of an issuer that is not known here")
        # Keys that were fetched or made for this token are what it hangs on.
        self._remember(digest, Known(grant, min(float(grant.expires), now + SECONDS), self._marks()), now)
        return grant

    def _of_ehr(self, signed: Signed, ehrs: Ehrs, path: str) -> bool:
        """Whether a token is one that an EHR signed: for CDS Hooks, and by nobody who gives access tokens. Who does
        both says by `aud` which one it is.
        """
        if not ehrs.audiences(path):
            return False
        issuer = signed.claims.get("iss")
        known = isinstance(issuer, str) and (issuer == self._issuer or issuer in self._issuers)
        return not known or (issuer != self._issuer and signed.kind == "jwt" and ehrs.names(signed, path))

    def _marks(self) -> Marks:
        if self._clients is None:
            return 0, 0, self._issuers.generation
        self._clients.look()
        self._keys.look()
        return self._clients.generation, self._keys.generation, self._issuers.generation

    def _own(self, signed: Signed, clients: Clients, now: float) -> Grant:
        """The grant of a token that this server gave, or another one of its database."""
        signed.verify(self._keys.find(signed.header.get("kid")), (ALGORITHM,))
        if signed.kind != TYPE or signed.claims.get("aud") != self._issuer:
            raise InvalidToken("the token is for another server, or another purpose")
        expires = signed.time_of("exp")
        if expires <= now:
            raise InvalidToken("the token has expired")
        client = clients.get(signed.text_of("client_id"))
        if client is None:
            raise InvalidToken("the client of the token is not known any more")
        # As it may now, where its file says less than when it got the token.
        try:
            scopes = Scopes.parse(signed.text_of("scope", 2**20).split()).within(client.scopes)
        except ValueError as error:
            raise InvalidToken(f"with what the client may now, the token has {error}") from error
        return Grant(client.id, None, self._issuer, scopes.texts, int(expires), client.name)

    def _remember(self, digest: bytes, known: Known, now: float) -> None:
        with self._lock:
            if len(self._known) >= MOST:
                self._known = {key: one for key, one in self._known.items() if one.until > now}
                while len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
            self._known[digest] = known
