"""Signed tokens (https://www.rfc-editor.org/rfc/rfc7519), read so that two readers cannot understand them differently.

joserfc does the cryptography. What it leaves to whoever calls it is decided here: which algorithms, which of several
keys, no extension of the form, no name twice in an object.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import base64_to_int, urlsafe_b64decode

from apothecary.errors import InvalidToken

# The longest token in bytes. Those of Entra for people in many groups have some thousand.
LONGEST = 16 * 1024
# The largest key set; the smallest RSA key (https://www.rfc-editor.org/rfc/rfc7518#section-3.3), the largest, in bits.
MOST_KEYS, SMALLEST, LARGEST = 100, 2048, 8192
# What clients sign with (https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html), and issuers.
OF_CLIENTS = ("RS384", "ES384")
OF_ISSUERS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
# The curve is the algorithm's: https://www.rfc-editor.org/rfc/rfc7518#section-3.4
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

# What goes wrong in what others wrote.
_WRONG = (JoseError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)

Public = RSAKey | ECKey


class _Registry(jws.JWSRegistry):
    """joserfc's limits, for tokens with a chain of certificates in their header."""

    max_header_length = 8 * 1024
    max_payload_length = LONGEST


@dataclass(frozen=True, slots=True)
class Signed:
    """A token as it was sent. Nothing in it is known to be true before `verify` returned."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> Signed:
        """Raises InvalidToken for what is no signed token."""
        if len(text) > LONGEST:
            raise InvalidToken(f"the token is longer than {LONGEST} bytes")
        try:
            # Strictly, or one token had several texts: joserfc refuses what is not the one encoding.
            header, claims = (_object(urlsafe_b64decode(part.encode("ascii"))) for part in text.split(".", 2)[:2])
        except _WRONG:
            raise InvalidToken("the token is no signed JSON Web Token") from None
        # Extensions would change what the rest means: https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11
        if "crit" in header or "b64" in header:
            raise InvalidToken("the token uses an extension that is not known here")
        return cls(text, header, claims)

    @property
    def kind(self) -> str:
        """What sort of token it says that it is, in small letters: https://www.rfc-editor.org/rfc/rfc8725#section-3.11"""
        told = self.header.get("typ", "")
        return told.lower().removeprefix("application/") if isinstance(told, str) else "?"

    def text_of(self, claim: str, longest: int = 1000) -> str:
        """A claim that is a text, and not empty. Raises InvalidToken."""
        found = self.claims.get(claim)
        if not isinstance(found, str) or not 0 < len(found) <= longest:
            raise InvalidToken(f"the claim {claim} is missing, or no text")
        return found

    def time_of(self, claim: str) -> float:
        """A claim that is a time in seconds since 1970. Raises InvalidToken."""
        found = self.claims.get(claim)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 2**53:
            raise InvalidToken(f"the claim {claim} is missing, or no time")
        return found

    def verify(self, keys: Iterable[Public], algorithms: Collection[str]) -> None:
        """Return where the one key that the token names signed it. Raises InvalidToken."""
        name, kid = self.header.get("alg"), self.header.get("kid")
        if not isinstance(name, str) or name not in algorithms:
            raise InvalidToken("the token is signed by an algorithm that is not taken here")
        fitting = [one for one in keys if one.kid == kid and _fits(one, name)]
        if len(fitting) != 1:
            raise InvalidToken("the token names no key that is known, by kid")
        try:
            jws.deserialize_compact(self.text, fitting[0], registry=_Registry(None, (name,), strict_check_header=False))
        except _WRONG:
            raise InvalidToken("the signature of the token is wrong") from None


def _fits(key: Public, algorithm: str) -> bool:
    """Whether a key is one for an algorithm: https://www.rfc-editor.org/rfc/rfc7517#section-4"""
    if key.get("alg", algorithm) != algorithm or key.get("use", "sig") != "sig":
        return False
    if "verify" not in (key.get("key_ops") or ("verify",)):
        return False
    if algorithm in _CURVES:
        return isinstance(key, ECKey) and key.curve_name == _CURVES[algorithm]
    return isinstance(key, RSAKey)


def public_key(given: Any) -> Public:
    """A key of a JSON Web Key Set. Raises ValueError with the reason where it is none that can be taken.
    https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
    """
    if not isinstance(given, dict):
        raise ValueError("a key is an object")
    if not isinstance(given.get("kid"), str) or not given["kid"]:
        raise ValueError("a key needs a kid, by which assertions name it")
    if given.get("kty") not in ("RSA", "EC"):
        raise ValueError("a key is of kty RSA or EC")
    if any(name in given for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")):
        raise ValueError("this is a private key, which nobody but its owner may have: make a new pair")
    if given["kty"] == "RSA" and not SMALLEST <= _bits(given.get("n")) <= LARGEST:
        raise ValueError(f"an RSA key has {SMALLEST} to {LARGEST} bits")
    try:
        key = RSAKey.import_key(given) if given["kty"] == "RSA" else ECKey.import_key(given)
        # joserfc makes the key when it is first asked for.
        key.public_key.key_size  # noqa: B018
    except _WRONG:
        raise ValueError("this is no public key") from None
    return key


def _bits(modulus: Any) -> int:
    """The size of an RSA key; 0 where this is no modulus, or a far too long one."""
    if not isinstance(modulus, str) or len(modulus) > LARGEST:
        return 0
    try:
        return base64_to_int(modulus).bit_length()
    except _WRONG:
        return 0


def usable(given: Any) -> tuple[Public, ...]:
    """The keys of a JSON Web Key Set that can be taken; others may be for other uses. Raises ValueError where it is no
    such set: https://www.rfc-editor.org/rfc/rfc7517#section-5
    """
    keys = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError("no JSON Web Key Set")
    found: list[Public] = []
    for one in keys:
        try:
            found.append(public_key(one))
        except ValueError:
            continue
    return tuple(found)


def sign(header: dict[str, Any], claims: Mapping[str, Any], key: Key) -> str:
    """A token of our own."""
    text = json.dumps(claims, separators=(",", ":"))
    return jws.serialize_compact(header, text, key, registry=_Registry(None, (header["alg"],)))


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands twice, readers keep one or the other: https://www.rfc-editor.org/rfc/rfc7519#section-4"""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(literal: str) -> NoReturn:
    raise ValueError(literal)
