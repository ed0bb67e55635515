"""Searches that came by POST and are longer than an address may be: the database keeps their parameters, so that the
links to their pages are short. https://hl7.org/fhir/R5/http.html#paging

They are kept for a day from the last page that was read, and no more of them than fit into a bounded space: those that
came first go first. Any process and any server of the database finds them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

import msgspec

from apothecary.errors import BadRequest, Gone, TooCostly
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.search.links import PAGE
from apothecary.store.contract import Reader, Transaction

Pairs = Sequence[tuple[str, str]]

# Begins the token of a page whose search is kept; it is in no other token.
MARK = "~"
# How long a search is kept, and when its time begins anew, in microseconds.
LASTING = 24 * 3600 * 1_000_000
FRESH = LASTING // 24
# The longest search, and all of them together, in characters.
LONGEST = 1_000_000
MOST = 32_000_000
# Under which names the database has what is kept: one for each search, and one for the list of them.
_ONE = "kept search {}"
_LIST = "kept searches"


class _Kept(msgspec.Struct, array_like=True):
    name: str
    since: int
    size: int


_KEPT = msgspec.json.Decoder(list[_Kept])


def address_of(service: Service, path: str, pairs: Pairs, token: str) -> tuple[str, str]:
    """The one parameter that stands for the page `token` of a search with `pairs`; without a token for its first.
    Raises TooCostly for a search that is too long to be kept.
    """
    text = msgspec.json.encode([path, pairs]).decode()
    if len(text) > LONGEST:
        raise TooCostly(
            "the search is too long for the addresses of its pages",
            expression="_count",
            remedy="Ask for less, or for all matches on one page with _count.",
        )
    # Of those who may see something else it is another search, and none may try whether somebody asked it.
    name = hmac.new(service.secret, text.encode(), hashlib.sha256).hexdigest()[:32]
    moment = now()
    if not any(one.name == name and moment - one.since < FRESH for one in _list(service)):
        _keep(service, _Kept(name, moment, len(text)), text)
    return PAGE, f"{MARK}{name}.{token}"


def search_of(service: Service, path: str, token: str, now: Callable[[], int]) -> tuple[Pairs, str]:
    """The parameters of the search that a token names, and the token of its page, empty for the first. Raises Gone
    where it is not kept any more at the time that `now` gives, BadRequest for a token of another search.
    """
    name, _, page = token.removeprefix(MARK).partition(".")
    if not any(one.name == name and now() - one.since < LASTING for one in _list(service)):
        raise Gone(
            f"{PAGE} belongs to a search that is not kept any more",
            expression=PAGE,
            remedy="Send the search again; its pages can be read for a day.",
        )
    text = _source(service).state(_ONE.format(name))
    kept_path, pairs = msgspec.json.decode(text or "[null,[]]")
    if kept_path != path:
        raise BadRequest(
            f"{PAGE} is not a page of this search", expression=PAGE, remedy="Follow the links as they are."
        )
    return [(one, value) for one, value in pairs], page


def _source(service: Service) -> Reader:
    """What surely has what was kept just before: the transaction in hand, or the store, never a replica."""
    return service.reader if isinstance(service.reader, Transaction) else service.store


def _list(service: Service) -> list[_Kept]:
    return _KEPT.decode(_source(service).state(_LIST) or "[]")


def _keep(service: Service, one: _Kept, text: str) -> None:
    def work(transaction: Transaction) -> None:
        held = _KEPT.decode(transaction.state(_LIST) or "[]")
        kept = [other for other in held if other.name != one.name and one.since - other.since < LASTING] + [one]
        while sum(other.size for other in kept) > MOST:
            kept.pop(0)
        for gone in {other.name for other in held} - {other.name for other in kept}:
            transaction.forget_state(_ONE.format(gone))
        transaction.set_state(_ONE.format(one.name), text)
        transaction.set_state(_LIST, msgspec.json.encode(kept).decode())

    if isinstance(service.reader, Transaction):
        work(service.reader)
    else:
        service.store.write(work)
