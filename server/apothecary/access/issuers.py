"""Issuers of others: their access tokens count here as they say, once their keys have shown that they are theirs.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig tells where the keys are,
https://www.rfc-editor.org/rfc/rfc9068 what such a token says; Keycloak, Entra and others each have claims of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from apothecary.access.criteria import check
from apothecary.access.grant import Grant
from apothecary.access.remote import Fetch, Remote, fetch, why_not
from apothecary.access.scopes import Scopes
from apothecary.access.signed import OF_ISSUERS, Public, Signed, usable
from apothecary.content.yaml import read_yaml
from apothecary.errors import InvalidToken, StartError
from apothecary.settings import PREFIX, Settings

# By how much clocks may differ, in seconds.
SKEW = 30
# What an access token may say that it is; others are for other purposes: https://www.rfc-editor.org/rfc/rfc9068#section-4
_KINDS = ("", "jwt", "at+jwt")
# Who asks, and what people call him, in the words of several.
_CLIENT, _NAME = ("client_id", "azp", "appid", "cid"), ("name", "preferred_username", "upn")
# So many scopes and roles of one token are looked at.
MOST = 1000

Metadata = Mapping[str, Any]


class Issuer:
    """One issuer. Nothing is asked of it before a token of its comes."""

    def __init__(self, url: str, fetch: Fetch = fetch) -> None:
        self.url = url
        self._fetch = fetch
        self._lock = Lock()
        self._metadata: Remote[Metadata] = Remote(
            f"{url.rstrip('/')}/.well-known/openid-configuration", self._read, fetch=fetch
        )
        self._keys: Remote[tuple[Public, ...]] | None = None

    @property
    def generation(self) -> int:
        """Goes up whenever its keys change."""
        return 0 if self._keys is None else self._keys.generation

    def metadata(self) -> Metadata:
        """What it says of itself. Raises Unreachable."""
        return self._metadata.get()

    def keys_for(self, kid: object) -> tuple[Public, ...]:
        """The keys among which one of that kid may be. Raises Unreachable."""
        address = self.metadata()["jwks_uri"]
        with self._lock:
            if self._keys is None or self._keys.url != address:
                self._keys = Remote(address, usable, fetch=self._fetch)
            keys = self._keys
        found = keys.get()
        return found if any(one.kid == kid for one in found) else keys.again()

    def _read(self, given: Any) -> Metadata:
        """Raises ValueError for metadata that are not those of this issuer:
        https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation
        """
        if not isinstance(given, dict) or given.get("issuer") != self.url:
            raise ValueError("of another issuer")
        if not isinstance(given.get("jwks_uri"), str) or why_not(given["jwks_uri"]) is not None:
            raise ValueError("no jwks_uri")
        return given


class Issuers:
    """All that the settings name."""

    def __init__(self, settings: Settings, *, fetch: Fetch = fetch, clock: Callable[[], float] = time.time) -> None:
        """Raises StartError."""
        self._by_url = {url: Issuer(url, fetch) for url in _listed(settings.issuers)}
        for url in self._by_url:
            if reason := why_not(url):
                raise StartError(f"{PREFIX}ISSUERS: {url}: {reason}")
        if settings.root in self._by_url:
            raise StartError(f"{PREFIX}ISSUERS: {settings.root} is this server itself")
        self._audiences = frozenset(_listed(settings.audience) or (settings.root,))
        self._claims = [tuple(path.split(".")) for path in _listed(settings.scope_claims)]
        self._map = _scope_map(settings.scope_map)
        self._clock = clock

    def __bool__(self) -> bool:
        return bool(self._by_url)

    def __contains__(self, url: object) -> bool:
        return url in self._by_url

    @property
    def first(self) -> Issuer | None:
        """The one that clients are sent to, where none get tokens here."""
        return next(iter(self._by_url.values()), None)

    @property
    def generation(self) -> int:
        """Goes up whenever one of them changes its keys."""
        return sum(one.generation for one in self._by_url.values())

    def grant(self, signed: Signed) -> Grant:
        """What a token of one of them grants. Raises InvalidToken; Unreachable where its keys cannot be had."""
        url = signed.text_of("iss")
        signed.verify(self._by_url[url].keys_for(signed.header.get("kid")), OF_ISSUERS)
        # A token for the client, about who signed in, or to get other tokens with, is not for us.
        told = signed.claims.get("typ")
        other = isinstance(told, str) and told.lower() != "bearer"
        if signed.kind not in _KINDS or other or "at_hash" in signed.claims:
            raise InvalidToken("this is no access token, but one for another purpose")
        audience = signed.claims.get("aud")
        if self._audiences.isdisjoint(_texts(audience)):
            raise InvalidToken("the token is for another server: aud")
        now, expires = self._clock(), signed.time_of("exp")
        if expires <= now - SKEW:
            raise InvalidToken("the token has expired")
        for claim in ("nbf", "iat"):
            if claim in signed.claims and signed.time_of(claim) > now + SKEW:
                raise InvalidToken(f"the token is not good yet: {claim} lies ahead")
        client = _first(signed.claims, _CLIENT)
        subject = _first(signed.claims, ("sub",))
        if client is None and subject is None:
            raise InvalidToken("the token does not say whose it is: client_id, azp or sub")
        try:
            scopes = Scopes.known(self._scopes(signed.claims)).texts
        except ValueError as error:
            raise InvalidToken(f"the token has {error}") from error
        name = _first(signed.claims, _NAME)
        return Grant(client or subject or "", subject, url, scopes, int(expires), name)

    def _scopes(self, claims: Mapping[str, Any]) -> list[str]:
        """What the claims say of scopes, in no order. Raises InvalidToken where that is too much to look at."""
        found: dict[str, None] = {}
        for path in self._claims:
            value: Any = claims
            for step in path:
                value = value.get(step) if isinstance(value, Mapping) else None
            for text in _texts(value):
                # Who has a name with spaces in it mapped, means all of it.
                for one in (text,) if text in self._map else text.split():
                    found |= dict.fromkeys(self._map.get(one, (one,) if "/" in one else ()))
        if len(found) > MOST:
            raise InvalidToken(f"the token has more than {MOST} scopes")
        return list(found)


def _texts(value: Any) -> Iterator[str]:
    """A text, or those of a list."""
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, str):
            yield one


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these claims that says something, as far as a record can hold it."""
    said = (claims.get(name) for name in names)
    return next((one[:200] for one in said if isinstance(one, str) and one), None)


def _listed(setting: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in setting.split(",") if one.strip()))


def _scope_map(text: str) -> dict[str, tuple[str, ...]]:
    """The scopes by what claims hold. Raises StartError."""
    if not text.strip():
        return {}
    document = read_yaml("scope_map", text)
    value = document.value
    wrong = StartError(f"{PREFIX}SCOPE_MAP: write names with scopes, such as {{pharmacists: system/*.rs}}")
    if document.issues or not isinstance(value, dict):
        raise wrong
    found: dict[str, tuple[str, ...]] = {}
    for name, given in value.items():
        scopes = tuple(one for text in given for one in str(text).split()) if isinstance(given, list) else ()
        scopes = tuple(given.split()) if isinstance(given, str) else scopes
        if not scopes:
            raise wrong
        try:
            mapped = Scopes.parse(scopes)
            check(mapped)
            found[name] = mapped.texts
        except ValueError as error:
            raise StartError(f"{PREFIX}SCOPE_MAP: {name}: {error}") from error
    return found
