"""Answers as pages, for those who ask for `text/html`, as browsers do. The first of them loads `apothecary.pages`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.rest.headers import PAGE, VARY
from apothecary.rest.responses import Answer

# Given twice, the versions that the page of a history compares.
COMPARED = "_compare"

# A year: the address of a style sheet changes with what is in it (https://www.rfc-editor.org/rfc/rfc8246).
_KEPT = "public, max-age=31536000, immutable"


def view(
    service: Service,
    version: FhirVersion,
    base: str,
    environ: dict[str, Any],
    pairs: Sequence[tuple[str, str]],
    status: int = 200,
) -> Any:
    """What a page has to know of the request in hand."""
    from apothecary.pages.view import View

    prefix = environ["PATH_INFO"].partition("/fhir")[2].strip("/")
    segment, _, rest = prefix.partition("/")
    path = rest if segment in {one.segment for one in service.registries} else prefix
    given = [one for one in pairs if one[0] != COMPARED]
    compared = tuple(value for name, value in pairs if name == COMPARED)
    return View(service, version, base, path, tuple(given), status, compared)


def page(view: Any, body: bytes) -> bytes:
    """The page of an answer, which is JSON."""
    from apothecary.pages.answers import page

    return page(view, body)


def respond(page: bytes, status: int, headers: list[tuple[str, str]]) -> Answer:
    """A page on its way; what has no body has no page."""
    headers += (("Content-Type", "text/html; charset=utf-8"), ("Vary", VARY), PAGE)
    return Answer(page, status, headers)


def home(view: Any, description: str, asked: str | None) -> tuple[bytes, str | None]:
    """The first page; or nothing, and the address that answers what was asked in its box."""
    from apothecary.pages.homes import address_of, home_page

    return (home_page(view, description), None) if asked is None else (b"", address_of(view, asked))


def claims(view: Any) -> bytes:
    """The page of the ledger."""
    from apothecary.pages.ledgers import ledger_page

    return ledger_page(view)


def check(view: Any, given: Mapping[str, str]) -> bytes:
    """The page of a list of drugs, with what is stated against it."""
    from apothecary.pages.checks import check_page

    return check_page(view, given)


def interface(view: Any, document: str, resource_type: str) -> bytes:
    """The page of an OpenAPI document."""
    from apothecary.pages.interfaces import interface_page

    return interface_page(view, document, resource_type)


def asset(name: str) -> Answer | None:
    """A file that pages fetch; None where there is none of that name."""
    from apothecary.pages.render import ASSETS, asset

    if name not in ASSETS:
        return None
    return Answer(asset(name), 200, [("Content-Type", ASSETS[name]), ("Cache-Control", _KEPT)])
