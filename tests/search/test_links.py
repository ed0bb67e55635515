"""Page links belong to one search: any other use is refused."""

from __future__ import annotations

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
