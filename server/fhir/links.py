"""Links between the entries of a transaction, replaced by the ids that the server assigns.

https://hl7.org/fhir/R5/http.html#transaction: matching links are replaced in references, in elements of type uri, url,
oid and uuid, and in
`<a href>` and `<img src>` of the narrative.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from server.fhir.definitions import definitions
from server.fhir.releases import FhirVersion

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_ATTRIBUTE = re.compile(r"""(\s(?:href|src)\s*=\s*)(?:"([^"]*)"|'([^']*)')""")

Resolve = Callable[[str], str | None]
"""The new form of a link, None where it stays as it is."""


def rewrite(resource: Mapping[str, Any], version: FhirVersion, resolve: Resolve) -> Any:
    """A copy of `resource` with its links resolved; parts without links are shared with the original."""
    return _object(resource, resource["resourceType"], version, resolve)


def _object(node: Mapping[str, Any], structure: str, version: FhirVersion, resolve: Resolve) -> Any:
    properties = definitions(version).structure(structure).properties
    changed: dict[str, Any] = {}
    for key, value in node.items():
        one = properties.get(key)
        if one is not None:
            new = _value(
                value, one.type, one.structure, structure == "Reference" and key == "reference", version, resolve
            )
        elif key.startswith("_"):
            new = _value(value, "Element", "Element", False, version, resolve)
        else:
            continue
        if new is not value:
            changed[key] = new
    return {**node, **changed} if changed else node


def _value(value: Any, kind: str, structure: str, reference: bool, version: FhirVersion, resolve: Resolve) -> Any:
    if isinstance(value, list):
        items = [_value(item, kind, structure, reference, version, resolve) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, str):
        if reference or kind in _LINKS:
            return resolve(value) or value
        return _narrative(value, resolve) if kind == "xhtml" else value
    if isinstance(value, dict):
        return _object(value, value.get("resourceType", structure), version, resolve)
    return value


def _narrative(text: str, resolve: Resolve) -> str:
    """The div with the links of its anchors and images resolved."""

    def replace(match: re.Match[str]) -> str:
        old = match[2] if match[2] is not None else match[3]
        new = resolve(old)
        return match[0] if new is None else f'{match[1]}"{new}"'

    return _ATTRIBUTE.sub(replace, text) if "href" in text or "src" in text else text
