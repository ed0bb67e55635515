"""Page links: a cursor as an opaque, signed token.

The signature binds the token to its search, so that a link that was edited is a 400 and not a page of something else:
https://hl7.org/fhir/R5/http.html#paging
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from apothecary.errors import BadRequest
from apothecary.search.query import Cursor

PAGE = "_page"
_SIGNATURE = 12
# Says in which order equals come: since it is there, in that of the values. It changes with that order.
_ORDER = 1


def _sign(secret: bytes, scope: str, pairs: Sequence[tuple[str, str]], payload: bytes) -> bytes:
    message = msgspec.json.encode([scope, pairs]) + payload
    return hmac.digest(secret, message, hashlib.sha256)[:_SIGNATURE]


def write(secret: bytes, scope: str, pairs: Sequence[tuple[str, str]], cursor: Cursor) -> str:
    """The token of a page. `scope` is the searched path, `pairs` the parameters as the self link shows them."""
    payload = msgspec.json.encode(
        [cursor.values, cursor.resource_type, cursor.id, cursor.backwards, cursor.seen, cursor.newest, _ORDER]
    )
    return base64.urlsafe_b64encode(_sign(secret, scope, pairs, payload) + payload).decode().rstrip("=")


def read(secret: bytes, scope: str, pairs: Sequence[tuple[str, str]], token: str) -> Cursor:
    """The cursor of a token that `write` made for the same search. Raises BadRequest for any other."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if not hmac.compare_digest(signature, _sign(secret, scope, pairs, payload)):
            raise ValueError
        values, resource_type, identity, backwards, seen, newest, *order = msgspec.json.decode(payload)
    except ValueError:
        raise BadRequest(
            f"{PAGE} is not a page of this search",
            expression=PAGE,
            remedy="Follow the links of an answer as they are; to change the search, start it without _page.",
        ) from None
    if order != [_ORDER] and any(name == "_sort" and value.startswith("-") for name, value in pairs):
        raise BadRequest(
            f"{PAGE} is a link of an earlier version of this server, which put equal resources in another order",
            expression=PAGE,
            remedy="Start the search again, without _page.",
        )
    return Cursor(tuple(values), resource_type, identity, backwards, seen, newest)
