"""The pages of value sets and code systems: their codes as a table, or as a hierarchy.

https://hl7.org/fhir/R5/valueset.html and https://hl7.org/fhir/R5/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.resources import resource_page
from apothecary.pages.titles import status_of, title_of
from apothecary.pages.view import View

# A page shows so many codes; the operations page through all of them.
CODES = 500


def value_set_page(view: View, resource: JSON) -> bytes:
    """A value set: what it is made of, and its codes where it was expanded."""
    expansion = resource.get("expansion")
    if not isinstance(expansion, dict) and not resource.get("url"):
        return resource_page(view, resource)
    rows = list(_contained(expansion.get("contains", []), 0)) if isinstance(expansion, dict) else []
    url = resource.get("url", "")
    return shown(
        "codes.html",
        view,
        title_of(resource),
        resource=resource,
        status=status_of(resource),
        rows=rows[:CODES],
        more=max(0, len(rows) - CODES),
        expanded=isinstance(expansion, dict),
        total=(expansion or {}).get("total"),
        expand=view.to("ValueSet/$expand", ("url", url), ("count", "100")) if url else None,
        parts=[*_parts(resource, "include"), *_parts(resource, "exclude")],
    )


def code_system_page(view: View, resource: JSON) -> bytes:
    """A code system: its codes, each below what it stands under."""
    if not resource.get("url"):
        return resource_page(view, resource)
    rows = list(_concepts(resource.get("concept", []), 0))
    return shown(
        "codes.html",
        view,
        title_of(resource),
        resource=resource,
        status=status_of(resource),
        rows=rows[:CODES],
        more=max(0, len(rows) - CODES),
        expanded=True,
        total=resource.get("count"),
        expand=None,
        parts=[],
    )


def _contained(listed: Iterable[JSON], depth: int) -> Iterator[dict[str, Any]]:
    for one in listed:
        yield {
            "depth": depth,
            "system": one.get("system", ""),
            "code": one.get("code", ""),
            "display": one.get("display", ""),
            "more": "not to be chosen" if one.get("abstract") else "",
        }
        yield from _contained(one.get("contains", []), min(depth + 1, 9))


def _concepts(listed: Iterable[JSON], depth: int) -> Iterator[dict[str, Any]]:
    for one in listed:
        yield {
            "depth": depth,
            "system": "",
            "code": one.get("code", ""),
            "display": one.get("display", ""),
            "more": one.get("definition", ""),
        }
        yield from _concepts(one.get("concept", []), min(depth + 1, 9))


def _parts(resource: JSON, name: str) -> Iterator[str]:
    """What a value set is composed of, in words."""
    for one in (resource.get("compose") or {}).get(name, []):
        said = one.get("system", "") or ", ".join(one.get("valueSet", []))
        if one.get("concept"):
            said += f", {len(one['concept'])} codes"
        said += "".join(
            f", {each.get('property')} {each.get('op')} {each.get('value')}" for each in one.get("filter", [])
        )
        yield f"{name}s {said}"
