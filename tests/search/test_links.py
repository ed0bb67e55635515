"""Page links belong to one search: any other use is refused."""

from __future__ import annotations

import base64
from dataclasses import astuple

import msgspec
import pytest

from apothecary.errors import BadRequest
from apothecary.search import links
from apothecary.search.query import Cursor

CURSOR = Cursor(("a", 1, None), "Medication", "m", True)
PAIRS = [("status", "active")]


def test_a_token_gives_the_cursor_back() -> None:
    token = links.write(b"secret", "Medication", PAIRS, CURSOR)
    assert links.read(b"secret", "Medication", PAIRS, token) == CURSOR


@pytest.mark.parametrize(
    ("secret", "scope", "pairs"),
    [
        (b"other", "Medication", PAIRS),
        (b"secret", "Organization", PAIRS),
        (b"secret", "Medication", [("status", "inactive")]),
        (b"secret", "Medication", []),
    ],
)
def test_a_token_is_refused_for_another_search(secret: bytes, scope: str, pairs: list[tuple[str, str]]) -> None:
    token = links.write(b"secret", "Medication", PAIRS, CURSOR)
    with pytest.raises(BadRequest):
        links.read(secret, scope, pairs, token)


def test_a_link_from_before_equals_came_in_the_order_of_the_first_key_is_refused_where_that_changed_them() -> None:
    payload = msgspec.json.encode(list(astuple(CURSOR)))
    for order, changed in (("status", False), ("-status", True), ("status,-code", False)):
        pairs = [*PAIRS, ("_sort", order)]
        signed = links._sign(b"secret", "Medication", pairs, payload) + payload
        token = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        if changed:
            with pytest.raises(BadRequest, match="earlier version"):
                links.read(b"secret", "Medication", pairs, token)
        else:
            assert links.read(b"secret", "Medication", pairs, token) == CURSOR
        assert links.read(b"secret", "Medication", pairs, links.write(b"secret", "Medication", pairs, CURSOR)) == CURSOR


@pytest.mark.parametrize("token", ["", "x", "é", "====", "A" * 40, "\U0010ffff"])
def test_junk_is_refused(token: str) -> None:
    with pytest.raises(BadRequest):
        links.read(b"secret", "Medication", PAIRS, token)


def test_every_changed_character_is_noticed() -> None:
    token = links.write(b"secret", "Medication", PAIRS, CURSOR)
    for position in range(len(token) - 1):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(BadRequest):
            links.read(b"secret", "Medication", PAIRS, changed)
