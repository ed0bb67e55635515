"""An answer -> its page: which template shows it, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from apothecary.fhir.json import JSON, parse
from apothecary.pages.render import render
from apothecary.pages.view import View

Page = Callable[[View, JSON], bytes]

# Module and function, loaded when such an answer is shown; any other resource has the page of all resources.
_BUNDLES: Mapping[str, tuple[str, str]] = {
    "searchset": ("searches", "search_page"),
    "history": ("histories", "history_page"),
}
_RESOURCES: Mapping[str, tuple[str, str]] = {
    "OperationOutcome": ("outcomes", "outcome_page"),
    "CapabilityStatement": ("statements", "statement_page"),
    "MedicationKnowledge": ("monographs", "monograph_page"),
    "ValueSet": ("terminologies", "value_set_page"),
    "CodeSystem": ("terminologies", "code_system_page"),
}


def page(view: View, body: bytes) -> bytes:
    """The page of an answer, which is JSON."""
    answer = parse(body)
    kind = answer.get("resourceType")
    named = _BUNDLES.get(answer.get("type")) if kind == "Bundle" else _RESOURCES.get(kind)
    if (kind == "CapabilityStatement" and view.path != "metadata") or "_summary" in dict(view.pairs):
        named = None
    if named is None:
        return _page_of("resources", "resource_page")(view, answer)
    return _page_of(*named)(view, answer)


def _page_of(module: str, function: str) -> Page:
    found: Page = getattr(import_module(f"apothecary.pages.{module}"), function)
    return found


def shown(template: str, view: View, title: str, **values: Any) -> bytes:
    """A page with what all pages have."""
    versions = [(one, address) for one in sorted(view.service.versions) if (address := view.other(one)) is not None]
    return render(template, view=view, title=title, versions=versions, **values)
