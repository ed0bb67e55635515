"""The page that compares two versions of a resource, whichever of its history they are.

https://hl7.org/fhir/R5/http.html#vread
"""

from __future__ import annotations

from typing import Any

from apothecary.errors import BadRequest, Gone
from apothecary.fhir.json import JSON, parse
from apothecary.interactions.read import vread
from apothecary.pages.answers import shown
from apothecary.pages.histories import difference
from apothecary.pages.titles import meta_of
from apothecary.pages.view import View


def comparison_page(view: View, body: bytes) -> bytes:
    """What changed from one version of a resource to another, which need not be neighbours. Raises NotFound where there
    is no such version, BadRequest where none or three are named.
    """
    name, _, rest = view.path.partition("/_history")
    if rest or name.count("/") != 1 or len(view.compared) != 2:
        raise BadRequest(
            "two versions of one resource can be compared",
            expression="_compare",
            remedy="Write [type]/[id]/_history?_compare=1&_compare=2.",
        )
    before, after = (_version(view, name, one.strip()) for one in view.compared)
    changes, more = difference(before["resource"], after["resource"])
    title = f"{name}: version {before['number']} and version {after['number']}"
    history = view.to(f"{name}/_history")
    return shown("comparison.html", view, title, sides=(before, after), changes=changes, more=more, history=history)


def _version(view: View, name: str, number: str) -> dict[str, Any]:
    """A version, ready to be shown; that a resource was deleted with it is one, too."""
    kind, _, identity = name.partition("/")
    resource: JSON | None
    try:
        resource = parse(vread(view.service, view.version, kind, identity, number).body or b"")
    except Gone:
        resource = None
    meta = meta_of(resource or {})
    return {
        "number": number,
        "resource": resource,
        "address": view.to(f"{name}/_history/{number}"),
        "updated": meta.get("lastUpdated", ""),
    }
