"""Links between the entries of a transaction, replaced by the ids that the server assigns.

https://hl7.org/fhir/R5/http.html#transaction: matching links are replaced in references, in elements of type uri, url,
oid and uuid, and in `<a href>` and `<img src>` of the narrative. Canonicals stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_ATTRIBUTE = re.compile(r"""(\s(?:href|src)\s*=\s*)(?:"([^"]*)"|'([^']*)')""")

Resolve = Callable[[str], str | None]
"""The new form of a link, None where it stays as it is."""


def rewrite(
    resource: Mapping[str, Any], version: FhirVersion, resolve: Resolve, *, references_only: bool = False
) -> Any:
    """A copy of `resource` with its links resolved, or only its references; `resource` itself where nothing changes.
    Parts without links are shared with the original.
    """
    return _Rewriter(version, resolve, references_only).object(resource, resource["resourceType"])


class _Rewriter:
    """One walk over a valid resource, along the definitions of its elements."""

    def __init__(self, version: FhirVersion, resolve: Resolve, references_only: bool) -> None:
        self._tables = definitions(version)
        self._resolve = resolve
        self._links = frozenset() if references_only else _LINKS
        self._narrative = not references_only

    def object(self, node: Mapping[str, Any], structure: str) -> Any:
        properties = self._tables.structure(structure).properties
        changed: dict[str, Any] = {}
        for key, value in node.items():
            one = properties.get(key)
            if one is not None:
                kind = "Reference.reference" if structure == "Reference" and key == "reference" else one.type
                new = self._value(value, kind, one.structure)
            elif key.startswith("_"):
                # The twin of a primitive: https://hl7.org/fhir/R5/json.html#primitive
                new = self._value(value, "Element", "Element")
            else:
                continue
            if new is not value:
                changed[key] = new
        return {**node, **changed} if changed else node

    def _value(self, value: Any, kind: str, structure: str) -> Any:
        if isinstance(value, str):
            if kind == "Reference.reference" or kind in self._links:
                return self._resolve(value) or value
            return self._of_narrative(value) if kind == "xhtml" and self._narrative else value
        if isinstance(value, dict):
            return self.object(value, self._tables.structure_of(value, structure))
        if isinstance(value, list):
            items = [self._value(item, kind, structure) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _of_narrative(self, text: str) -> str:
        """The div with the links of its anchors and images resolved."""

        def replace(match: re.Match[str]) -> str:
            new = self._resolve(match[2] if match[2] is not None else match[3])
            return match[0] if new is None else f'{match[1]}"{new}"'

        return _ATTRIBUTE.sub(replace, text) if "href" in text or "src" in text else text
