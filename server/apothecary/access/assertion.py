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


class Signatures:
    """Knows clients by what they sign for one request, whatever that request is."""

    def __init__(self, clients: Clients, used: Assertions, *, clock: Callable[[], float] = time.time) -> None:
        self._clients, self._used, self._clock = clients, used, clock

    def client_of(
        self, signed: Signed, audiences: Collection[str], *, called: str, check: Callable[[Signed], None]
    ) -> Client:
        """The client that signed `signed` for one of `audiences`, the names of an address that is `called` so. `check`
        looks at what else it must say, and raises InvalidToken. Raises InvalidToken.
        """
        client = self._signer(signed)
        self._check(signed, audiences, called)
        check(signed)
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

    def _check(self, signed: Signed, audiences: Collection[str], called: str) -> None:
        """What the client says of its assertion: https://www.rfc-editor.org/rfc/rfc7523#section-3"""
        if signed.kind != "jwt":
            raise InvalidToken("typ is JWT in the header of an assertion")
        if addressee(signed) not in audiences:
            raise InvalidToken(f"aud is {called}, {min(audiences)}, and nothing else")
        now, expires = self._clock(), signed.time_of("exp")
        if expires <= now - SKEW:
            raise InvalidToken("the assertion has expired")
        if expires > now + LIFE + SKEW:
            raise InvalidToken(f"the assertion lives longer than {LIFE} seconds")
        for claim in ("nbf", "iat"):
            if claim in signed.claims and signed.time_of(claim) > now + SKEW:
                raise InvalidToken(f"the assertion is not good yet: {claim} lies ahead")


def addressee(signed: Signed) -> str:
    """The one that an assertion is for, empty where there is not one: for several addressees it is none for this one
    alone, another could send it here.
    """
    audience = signed.claims.get("aud")
    named = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    return named if isinstance(named, str) else ""


class Authenticator:
    """Knows clients by the assertions that they send to the token endpoint."""

    def __init__(self, signatures: Signatures, audiences: Collection[str]) -> None:
        """`audiences` are the addresses of the token endpoint, as they are configured."""
        self._signatures, self._audiences = signatures, frozenset(audiences)

    def client_of(self, text: str) -> Client:
        """The client that sends the assertion `text`. Raises InvalidToken."""
        return self._signatures.client_of(
            Signed.read(text), self._audiences, called="the token endpoint", check=_about_itself
        )


def _about_itself(signed: Signed) -> None:
    if signed.claims.get("sub") != signed.claims["iss"]:
        raise InvalidToken("iss and sub are the client_id, both")
