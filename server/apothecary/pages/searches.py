"""The page of a search: a form of what can be asked, the matches as a table, and the address that gives the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, parse
from apothecary.interactions.capabilities import of_type
from apothecary.pages.answers import shown
from apothecary.pages.facets import MOST_CHOICES, facets
from apothecary.pages.outcomes import issues_of
from apothecary.pages.titles import columns, meta_of, status_of, title_of
from apothecary.pages.view import View
from apothecary.search.parameters import Registry

# What may be typed into a field, by the type of its parameter: https://hl7.org/fhir/R5/search.html#ptypes
EXAMPLES = {
    "token": "code, or system|code",
    "string": "the beginning of a word",
    "reference": "Type/id",
    "date": "2026, ge2026-01-01",
    "quantity": "5, or 5|http://unitsofmeasure.org|mg",
    "number": "5, gt5",
    "uri": "the whole address",
    "composite": "value$value",
    "special": "",
}

# What concerns the answer and not the matches, and has its own place on the page.
_RESULT = frozenset({"_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total", "_explain"})
# Asked for by links of the page itself.
_OFTEN = ("_id", "_lastUpdated", "_text", "_content")


def _found(total: int | None, shown: int, issues: list[dict[str, Any]]) -> str:
    """How many matches there are, as far as the answer tells: an estimate is shown as one."""
    if total is not None:
        return f"About {total}" if any(one["places"] == ["_total"] for one in issues) else str(total)
    # A page that ended early tells of no more than it has.
    early = any((one["severity"], one["code"]) == ("information", "incomplete") for one in issues)
    return f"{shown or 'None'} so far" if early else f"More than {shown}"


def search_page(view: View, body: bytes) -> bytes:
    """A searchset: https://hl7.org/fhir/R5/search.html"""
    bundle = parse(body)
    rows: list[dict[str, Any]] = []
    matches: list[JSON] = []
    included: list[dict[str, Any]] = []
    issues: list[dict[str, Any]] = []
    for entry in bundle.get("entry", []):
        resource, mode = entry.get("resource") or {}, (entry.get("search") or {}).get("mode", "match")
        if mode == "outcome":
            issues += issues_of(resource)
        else:
            (rows if mode == "match" else included).append(_row(view, entry, resource))
            if mode == "match":
                matches.append(resource)
    links = {one["relation"]: one["url"] for one in bundle.get("link", []) if one["relation"] != "self"}
    fields = list(_fields(view)) if view.type else []
    sort = dict(view.pairs).get("_sort", "")
    given = [one for one in view.pairs if one[0] not in _RESULT and one[0] not in ("_format", "_page", "_pretty")]
    return shown(
        "search.html",
        view,
        f"{view.type or 'All types'}: search",
        rows=rows,
        included=included,
        issues=[one for one in issues if one["places"] != ["_explain"]],
        plan=[one["text"] for one in issues if one["places"] == ["_explain"]],
        links={name: _shown(url) for name, url in links.items()},
        found=_found(bundle.get("total"), len(rows), issues),
        fields=[one for one in fields if one["used"]] + [one for one in fields if not one["used"]],
        kept=[one for one in view.pairs if one[0] in _RESULT],
        given=given,
        labels=sorted({label for one in rows for label in one["columns"]}),
        sorts={
            name: view.here(("_sort", f"-{name}" if sort == name else name), without=("_page",))
            for name in _sorts(view)
        },
        facets=facets(view, fields, matches, alone="next" not in links and "previous" not in links),
        explain=view.here(("_explain", "true"), without=("_page",)),
        lines=view.here(("_format", "ndjson"), without=("_page",)),
    )


def _shown(url: str) -> str:
    """A link of the bundle, as one to the same page of this kind."""
    return url.partition("://")[2].partition("/")[2].join(("/", ""))


def _row(view: View, entry: JSON, resource: JSON) -> dict[str, Any]:
    name = f"{resource.get('resourceType')}/{resource.get('id')}"
    return {
        "name": name,
        "address": view.to(name),
        "title": title_of(resource),
        "status": status_of(resource),
        "columns": columns(resource),
        "updated": str(meta_of(resource).get("lastUpdated", ""))[:10],
        "score": (entry.get("search") or {}).get("score"),
    }


def _sorts(view: View) -> list[str]:
    registry = view.service.registry(view.version)
    named = registry.parameters(view.type) if view.type else {}
    return [
        one for one in ("_id", "_lastUpdated", "status", "drug-name", "name", "title") if one[0] == "_" or one in named
    ]


def _fields(view: View) -> Iterator[dict[str, Any]]:
    """A field for each parameter of the type, with what the server says of it."""
    registry = view.service.registry(view.version)
    given: dict[str, list[str]] = {}
    for name, value in view.pairs:
        given.setdefault(name, []).append(value)
    for one in of_type(view.service, registry, view.type)["searchParam"]:
        name = one["name"]
        if name in _RESULT or (name.startswith("_") and name not in _OFTEN):
            continue
        asked = {key: values for key, values in given.items() if key.partition(":")[0] == name}
        # A parameter that was asked for has a field with the name it was asked by, so that sending the form again asks
        # for the same.
        for key, values in asked.items() or {name: [""]}.items():
            for value in values:
                yield {
                    "name": key,
                    "value": value,
                    "used": bool(value),
                    "type": one["type"],
                    "example": EXAMPLES.get(one["type"], ""),
                    "documentation": one.get("documentation", ""),
                    "choices": _choices(registry, view, name),
                }


def _choices(registry: Registry, view: View, name: str) -> list[str]:
    """The codes of a parameter that has few: those of an element with a required binding."""
    properties = definitions(view.version).structure(view.type).properties
    found = properties.get(name)
    if found is None or found.element.binding is None or found.element.binding.strength != "required":
        return []
    value_set = definitions(view.version).value_set(found.element.binding.value_set)
    codes = sorted({code for some in value_set.concepts.values() for code in some}) if value_set is not None else []
    return codes if len(codes) <= MOST_CHOICES else []
