"""Following the links of a searchset or a history."""

from __future__ import annotations

from tests.conformance.harness import Answer, Server

# A walk that takes longer goes in circles.
MOST = 200


def forwards(server: Server, address: str) -> list[Answer]:
    """The page at `address` and all that follow it."""
    pages = [server.ask("GET", address)]
    while (link := pages[-1].links.get("next")) is not None:
        pages.append(server.ask("GET", link))
        assert len(pages) < MOST
    assert all(page.status == 200 for page in pages)
    return pages


def backwards(server: Server, page: Answer) -> list[Answer]:
    """`page` and all that precede it, nearest first."""
    pages = [page]
    while (link := pages[-1].links.get("previous")) is not None:
        pages.append(server.ask("GET", link))
        assert len(pages) < MOST
    return pages
