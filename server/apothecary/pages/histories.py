"""The page of a history: each version, and what changed since the one before."""

from __future__ import annotations

import difflib
from typing import Any

from apothecary.fhir.json import JSON, dumps, pretty
from apothecary.pages.answers import shown
from apothecary.pages.fitting import fitting, width
from apothecary.pages.titles import meta_of, title_of
from apothecary.pages.view import View

# Lines of a difference, and characters of a version that is compared.
LINES, LARGEST = 200, 300_000
# And characters of a line, and of all differences of a page.
LINE, ALL_LINES = 300, 60_000


def history_page(view: View, bundle: JSON) -> bytes:
    """A history of a resource, a type or the system: https://hl7.org/fhir/R5/http.html#history"""
    entries = [_entry(view, one) for one in bundle.get("entry", [])]
    newer: dict[str, dict[str, Any]] = {}
    room = ALL_LINES
    # The newest first, as long as there is room.
    for one in entries:
        after = newer.get(one["name"])
        if after is not None and room > 0:
            after["changes"], after["more"] = difference(one["resource"], after["resource"], room)
            room -= sum(width(line) + 20 for _, line in after["changes"])
        newer[one["name"]] = one
    links = {link["relation"]: link["url"] for link in bundle.get("link", []) if link["relation"] != "self"}
    title = f"History of {view.path.removesuffix('/_history') or 'all resources'}".replace("/_history", "")
    return shown(
        "history.html",
        view,
        title,
        entries=entries,
        links=links,
        total=bundle.get("total"),
        compare=_compare(view, entries),
    )


def _compare(view: View, entries: list[dict[str, Any]]) -> tuple[str, str, str] | None:
    """The address that compares two versions of one resource, and the two that are offered: the first and the last that
    are shown. None where there are no two.
    """
    name = view.path.removesuffix("/_history")
    numbers = [one["version"] for one in entries if one["version"]]
    if name.count("/") != 1 or len(numbers) < 2:
        return None
    return view.to(f"{name}/_history"), numbers[-1], numbers[0]


def _entry(view: View, entry: JSON) -> dict[str, Any]:
    resource, request = entry.get("resource"), entry.get("request", {})
    url = str(request.get("url", ""))
    name = f"{resource['resourceType']}/{resource['id']}" if resource else url.partition("?")[0].removesuffix("/")
    meta = meta_of(resource or {})
    version = meta.get("versionId", "")
    return {
        "name": name,
        "address": view.to(f"{name}/_history/{version}") if resource else None,
        "title": title_of(resource) if resource else "",
        "version": version,
        "when": meta.get("lastUpdated") or (entry.get("response") or {}).get("lastModified", ""),
        "method": request.get("method", ""),
        "resource": resource,
        "changes": None,
        "more": 0,
    }


def difference(before: JSON | None, after: JSON | None, room: int = ALL_LINES) -> tuple[list[tuple[str, str]], int]:
    """The lines that differ, each with its sign; and how many more there are."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return [("?", "too large to compare here")], 0
    found = [
        (line[0], line[1 : LINE + 1] + ("…" if len(line) > LINE + 1 else ""))
        for line in difflib.unified_diff(old, new, n=2, lineterm="")
        if not line.startswith(("---", "+++"))
    ]
    shown, left = fitting(found[:LINES], lambda line: line, room, lambda line: width(line[1]) + 20)
    return shown, left + max(0, len(found) - LINES)


def _lines(resource: JSON | None) -> list[str] | None:
    if resource is None:
        return []
    text = dumps({name: value for name, value in resource.items() if name != "meta"})
    return None if len(text) > LARGEST else pretty(text).decode().splitlines()
