"""The parts of an extension that has parts: their urls are names that its definition gives
(https://hl7.org/fhir/R5/extensibility.html#Extension).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apothecary.suggestions import did_you_mean
from apothecary.validation.diagnostics import shown
from apothecary.validation.profiles.model import ElementRules
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_PARTS = "extension"


def check_parts(rules: ElementRules, extension: dict[str, Any], at: At, run: Run, url: str) -> None:
    """Report each part with a relative url that the definition, whose `rules` these are, does not name. An absolute url
    is that of an extension of its own, which may stand anywhere. `url` is that of the definition.
    """
    listed = extension.get(_PARTS)
    defined = _defined(rules.children)
    if defined is None or not isinstance(listed, list):
        return
    for index, part in enumerate(listed):
        name = part.get("url") if isinstance(part, dict) else None
        if not isinstance(name, str) or ":" in name:
            continue
        if name in defined:
            check_parts(defined[name], part, (at, _PARTS, index), run, url)
        else:
            text = f"has the url {shown(name)}, which is no part of {url}"
            remedy = did_you_mean(name, defined)
            run.report(BASE["extension-value"], at, text, key=_PARTS, index=index, remedy=remedy)


def _defined(children: Iterable[ElementRules]) -> dict[str, ElementRules] | None:
    """The parts by url; None where no part is defined, or the url of one is not told."""
    found: dict[str, ElementRules] = {}
    for child in children:
        if child.name != _PARTS:
            continue
        for one in child.slices:
            url = next((each.fixed or each.pattern for each in one.children if each.name == "url"), None)
            if url is not None:
                found[str(url.value)] = one
            elif not any(allowed.profiles for allowed in one.types):
                return None
    return found or None
