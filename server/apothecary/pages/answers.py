"""An answer -> its page: which template shows it, and with what."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec
from jinja2 import TemplateError

from apothecary.authoring.pen import STRANGE
from apothecary.fhir.json import parse
from apothecary.pages.kept import page_of
from apothecary.pages.render import render
from apothecary.pages.view import View

log = logging.getLogger("apothecary")


class _Head(msgspec.Struct):
    """What decides how an answer is shown: a Bundle says what it is of in its type."""

    resourceType: Any = None
    type: Any = None


_head = msgspec.json.Decoder(_Head)
# How nearly every answer begins: to look no further saves a tenth of a millisecond for a long one.
_BEGINNING = re.compile(rb'\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"(?:\s*,\s*"type"\s*:\s*"([a-z-]+)")?')

# Module and function, loaded when such an answer is shown; any other resource has the page of all resources.
_BUNDLES: Mapping[Any, tuple[str, str]] = {
    "searchset": ("searches", "search_page"),
    "history": ("histories", "history_page"),
}
_RESOURCES: Mapping[Any, tuple[str, str]] = {
    "OperationOutcome": ("outcomes", "outcome_page"),
    "CapabilityStatement": ("statements", "statement_page"),
    "MedicationKnowledge": ("monographs", "monograph_page"),
    "ValueSet": ("terminologies", "value_set_page"),
    "CodeSystem": ("terminologies", "code_system_page"),
}
# Those that ask for more than their answer, and see for themselves whether what was kept is still right.
_ASKING = frozenset({"searches", "monographs", "comparisons"})


def page(view: View, body: bytes) -> bytes:
    """The page of an answer, which is JSON."""
    kind, use = _kind_of(body)
    named = _BUNDLES.get(use) if kind == "Bundle" else _RESOURCES.get(kind)
    if (kind == "CapabilityStatement" and view.path != "metadata") or "_summary" in dict(view.pairs):
        named = None
    module, function = named or ("resources", "resource_page")
    if view.compared and function == "history_page":
        module, function = "comparisons", "comparison_page"
    try:
        return _made(view, body, module, function)
    except (*STRANGE, TemplateError):
        if kind not in _RESOURCES or named is None:
            raise
        # What was loaded without validation may have any form: it is shown as any resource is.
        log.warning("%s is shown as any resource: it has not the form that %s needs", view.path, function)
        return _made(view, body, "resources", "resource_page")


def _made(view: View, body: bytes, module: str, function: str) -> bytes:
    make = getattr(import_module(f"apothecary.pages.{module}"), function)
    made: bytes = (
        make(view, body) if module in _ASKING else page_of(view, function, body, lambda: make(view, parse(body)))
    )
    return made


def _kind_of(body: bytes) -> tuple[Any, Any]:
    """The type of a resource, and of a Bundle."""
    found = _BEGINNING.match(body)
    if found is None or (found[1] == b"Bundle" and not found[2]):
        head = _head.decode(body)
        return head.resourceType, head.type
    return found[1].decode(), (found[2] or b"").decode()


def shown(template: str, view: View, title: str, **values: Any) -> bytes:
    """A page with what all pages have."""
    versions = [(one, address) for one in sorted(view.service.versions) if (address := view.other(one)) is not None]
    return render(template, view=view, title=title, versions=versions, **values)
