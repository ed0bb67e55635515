"""The pages of value sets and code systems: their codes as a table, or as a hierarchy.

https://hl7.org/fhir/R5/valueset.html and https://hl7.org/fhir/R5/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.fitting import fitting, width
from apothecary.pages.resources import resource_page
from apothecary.pages.titles import status_of, title_of
from apothecary.pages.view import View

# A page shows so many codes; the operations page through all of them.
CODES = 500
# And so many characters of them all, of what a value set is made of, and of one text.
ALL_CODES, PARTS, TEXT = 64_000, 12_000, 500


def value_set_page(view: View, resource: JSON) -> bytes:
    """A value set: what it is made of, and its codes where it was expanded."""
    expansion, url = resource.get("expansion"), resource.get("url")
    if isinstance(expansion, dict):
        rows, total = list(_contained(expansion.get("contains", []), 0)), expansion.get("total")
    elif not url:
        return resource_page(view, resource)
    else:
        rows, total = None, None
    expand = view.to("ValueSet/$expand", ("url", url), ("count", "100")) if url else None
    parts = [*_parts(resource, "include"), *_parts(resource, "exclude")]
    return _codes_page(view, resource, rows, total, expand, parts)


def code_system_page(view: View, resource: JSON) -> bytes:
    """A code system: its codes, each below what it stands under."""
    if not resource.get("url"):
        return resource_page(view, resource)
    return _codes_page(view, resource, list(_concepts(resource.get("concept", []), 0)), resource.get("count"))


def _codes_page(
    view: View,
    resource: JSON,
    rows: list[dict[str, Any]] | None,
    total: int | None,
    expand: str | None = None,
    parts: Sequence[str] = (),
) -> bytes:
    """The page of codes; `rows` is None where nobody listed them."""
    made, _ = fitting((rows or [])[:CODES], _cut, ALL_CODES, lambda one: width(*one.values()) + 90)
    made_parts, more_parts = fitting(parts, lambda one: one[:TEXT], PARTS, width)
    return shown(
        "codes.html",
        view,
        title_of(resource),
        resource=resource,
        status=status_of(resource),
        rows=made,
        more=len(rows or ()) - len(made),
        expanded=rows is not None,
        total=total,
        expand=expand,
        parts=made_parts,
        more_parts=more_parts,
        whole=view.whole,
    )


def _cut(row: dict[str, Any]) -> dict[str, str]:
    """The row of a code, no text longer than a table has room for."""
    return {name: str(value)[:TEXT] for name, value in row.items()}


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
