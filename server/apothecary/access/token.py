"""The token endpoint: https://hl7.org/fhir/smart-app-launch/backend-services.html#obtain-access-token"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from apothecary.access.assertion import Authenticator
from apothecary.access.criteria import check
from apothecary.access.keys import ALGORITHM, SigningKeys
from apothecary.access.scopes import Scopes
from apothecary.access.signed import LONGEST, sign
from apothecary.errors import InvalidToken, OAuthError

GRANT_TYPE = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# https://www.rfc-editor.org/rfc/rfc9068#section-2.1
TYPE = "at+jwt"


class TokenEndpoint:
    """Gives access tokens to clients that are known."""

    def __init__(
        self,
        authenticator: Authenticator,
        keys: SigningKeys,
        issuer: str,
        seconds: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`issuer` is this server's address, in tokens; `seconds` is how long these are good for."""
        self._authenticator, self._keys = authenticator, keys
        self._issuer, self._seconds, self._clock = issuer, seconds, clock

    def answer(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The answer to a form. Raises OAuthError."""
        form: dict[str, str] = {}
        for name, value in pairs:
            # https://www.rfc-editor.org/rfc/rfc6749#section-3.2
            if name in form:
                raise OAuthError("invalid_request", f"the parameter {name[:50]!r} stands twice")
            form[name] = value
        grant = form.get("grant_type")
        if not grant:
            raise OAuthError("invalid_request", f"grant_type is missing; it is {GRANT_TYPE}")
        if grant != GRANT_TYPE:
            raise OAuthError("unsupported_grant_type", f"grant_type is {GRANT_TYPE} here")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_client", f"client_assertion_type is {ASSERTION_TYPE}")
        try:
            client = self._authenticator.client_of(form.get("client_assertion", ""))
        except InvalidToken as error:
            raise OAuthError("invalid_client", str(error)) from error
        if form.get("client_id", client.id) != client.id:
            raise OAuthError("invalid_client", "client_id is another one than in the assertion")
        granted = _granted(form.get("scope", ""), client.scopes)
        now = int(self._clock())
        key = self._keys.current()
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": client.id,
            "client_id": client.id,
            "scope": str(granted),
            "iat": now,
            "exp": now + self._seconds,
            "jti": secrets.token_urlsafe(16),
        }
        token = sign({"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}, claims, key)
        if len(token) > LONGEST:
            raise OAuthError("invalid_scope", "a token with all these scopes would be too long: ask for fewer")
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._seconds,
            "scope": str(granted),
        }


def _granted(asked: str, registered: Scopes) -> Scopes:
    """What is asked for and registered. Raises OAuthError."""
    if not asked.strip():
        raise OAuthError("invalid_scope", "scope is missing, such as system/Medication.rs")
    try:
        wanted = Scopes.parse(asked.split())
        check(wanted)
        found = wanted.within(registered)
    except ValueError as error:
        raise OAuthError("invalid_scope", str(error)) from error
    if not found:
        raise OAuthError("invalid_scope", "nothing of what is asked for was registered for this client")
    return found
