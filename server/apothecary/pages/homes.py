"""The server's first page, and what its one box is asked: a name, a code in any system, or a whole query."""

from __future__ import annotations

import re
from urllib.parse import quote

from apothecary import __version__
from apothecary.fhir import ndc
from apothecary.interactions.service import Service
from apothecary.pages.answers import shown
from apothecary.pages.view import View
from apothecary.search.parameters import Registry
from apothecary.search.query import Query

KIND = "MedicationKnowledge"

_QUERY = re.compile(r"(?:/?fhir/(?:r\w+/)?)?(?:([A-Z][A-Za-z]+)\??)?([^?]*=.*)?")
_TYPE = re.compile(r"[A-Z][A-Za-z]+(?:/[A-Za-z0-9.-]{1,64})?")
_CODE = re.compile(r"[A-Z]?[0-9][0-9A-Z.:-]*|[A-Z0-9]{10}")


def home_page(view: View, description: str) -> bytes:
    """What is held, and where to begin."""
    service = view.service
    registry = service.registry(view.version)
    held = [
        (kind, *_count(service, kind), view.to(kind))
        for kind in sorted(service.reader.types())
        if registry.serves(kind)
    ]
    return shown(
        "home.html",
        view,
        "Apothecary",
        held=held,
        description=description,
        software=__version__,
        bases=[(one, one.segment) for one in sorted(service.versions)],
    )


def _count(service: Service, kind: str) -> tuple[int, bool]:
    """About how many there are, and whether it is exactly so many."""
    return service.reader.estimate(Query({kind: None}))


def address_of(view: View, asked: str) -> str:
    """Where what was typed into the box leads: an address below the base."""
    text = " ".join(asked.split())
    registry = view.service.registry(view.version)
    if not text:
        return view.home
    if _TYPE.fullmatch(text) and registry.serves(text.partition("/")[0]):
        return view.to(text)
    query = _QUERY.fullmatch(text)
    if query is not None and query[2] and (query[1] is None or registry.serves(query[1])):
        return f"{view.to(query[1] or KIND)}?{quote(query[2], safe='=&|:/$,.-_%+')}"
    kind = KIND if registry.serves(KIND) else next(iter(registry.types))
    if "|" in text or ndc.readings(text) or _CODE.fullmatch(text):
        return view.to(kind, ("code", text))
    return view.to(kind, (_names(registry, kind), text))


def _names(registry: Registry, kind: str) -> str:
    """The parameter that finds a type by what people call it."""
    known = registry.parameters(kind)
    return next((one for one in ("drug-name", "name", "title") if one in known), "_text")
