"""How a client makes itself known: an assertion that it signs for one request.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from apothecary.access.clients import Client, Clients
from apothecary.access.signed import OF_CLIENTS, Signed
from apothecary.errors import InvalidToken, Unreachable
from apothecary.store.assertions import Assertions

# How long an assertion may live, and by how much clocks may differ, in seconds.
LIFE, SKEW = 300, 30

# Who is not known learns no more than this: neither which clients there are, nor what is wrong with a key.
STRANGER = "the client is not known here, or the assertion is not signed by its key"


class Authenticator:
    """Knows clients by their assertions."""

    def __init__(
        self,
        clients: Clients,
        used: Assertions,
        audiences: Collection[str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`audiences` are the addresses of the token endpoint, as they are configured."""
        self._clients, self._used, self._audiences, self._clock = clients, used, frozenset(audiences), clock

    def client_of(self, text: str) -> Client:
        """The client that sends the assertion `text`. Raises InvalidToken."""
        signed = Signed.read(text)
        client = self._signer(signed)
        self._check(signed)
        now, expires = self._clock(), signed.time_of("exp")
        if not self._used.use(client.id, signed.text_of("jti"), int(expires) + SKEW + 1, int(now)):
            raise InvalidToken("the assertion was used before: each has a jti of its own")
        return client

    def _signer(self, signed: Signed) -> Client:
        issuer = signed.claims.get("iss")
        client = self._clients.get(issuer) if isinstance(issuer, str) else None
        if client is None:
            raise InvalidToken(STRANGER)
        try:
            signed.verify(client.keys_for(signed.header.get("kid"), signed.header.get("jku")), OF_CLIENTS)
        except (InvalidToken, Unreachable, ValueError) as error:
            raise InvalidToken(STRANGER) from error
        return client

    def _check(self, signed: Signed) -> None:
        """What the client says of its assertion: https://www.rfc-editor.org/rfc/rfc7523#section-3"""
        if signed.kind != "jwt":
            raise InvalidToken("typ is JWT in the header of an assertion")
        if signed.claims.get("sub") != signed.claims["iss"]:
            raise InvalidToken("iss and sub are the client_id, both")
        audience = signed.claims.get("aud")
        # For several addressees it is none for this one alone: another could send it here.
        named = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
        if not isinstance(named, str) or named not in self._audiences:
            raise InvalidToken(f"aud is the token endpoint, {min(self._audiences)}, and nothing else")
        now, expires = self._clock(), signed.time_of("exp")
        if expires <= now - SKEW:
            raise InvalidToken("the assertion has expired")
        if expires > now + LIFE + SKEW:
            raise InvalidToken(f"the assertion lives longer than {LIFE} seconds")
        for claim in ("nbf", "iat"):
            if claim in signed.claims and signed.time_of(claim) > now + SKEW:
                raise InvalidToken(f"the assertion is not good yet: {claim} lies ahead")
