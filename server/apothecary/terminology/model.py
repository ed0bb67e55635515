"""Concepts, with what a code system says of them: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
# Designations of these statuses were right once.
_WITHDRAWN = frozenset({"deprecated", "withdrawn", "retired"})


class Designation(msgspec.Struct, frozen=True, gc=False):
    """One more way to name a concept: https://hl7.org/fhir/R5/codesystem-definitions.html#CodeSystem.concept.designation

    `use` is a Coding. `json` is the element as it was written, extensions included.
    """

    value: str
    language: str = ""
    use: Mapping[str, Any] | None = None
    json: Mapping[str, Any] = {}
    source: str | None = None
    """The supplement that added it, as `url|version`."""

    @property
    def withdrawn(self) -> bool:
        """Whether it is no longer a right name of the concept."""
        return any(
            one.get("url") == STANDARDS_STATUS and str(one.get("valueCode")) in _WITHDRAWN
            for one in objects(self.json.get("extension"))
        )


class Property(msgspec.Struct, frozen=True, gc=False):
    """A property's value; `type` is what follows `value` in its element: Code, Coding, String, Integer, Boolean,
    DateTime, Decimal.
    """

    code: str
    type: str
    value: Any

    @property
    def text(self) -> str:
        """The value as filters compare it: the code of a Coding, `true` and `false`."""
        if isinstance(self.value, Mapping):
            return str(self.value.get("code", ""))
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


class Concept(msgspec.Struct, frozen=True, gc=False):
    """A code with its display in the language of its code system, and all that is said of it. Its place in the
    hierarchy is the code system's to tell.
    """

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()
    extensions: tuple[Mapping[str, Any], ...] = ()

    def extension(self, url: str) -> Mapping[str, Any] | None:
        """The first extension of that url, None where there is none."""
        return next((one for one in self.extensions if one.get("url") == url), None)


class PropertyDefinition(msgspec.Struct, frozen=True):
    """What a code system declares of a property: https://hl7.org/fhir/R5/codesystem-definitions.html#CodeSystem.property"""

    code: str
    uri: str = ""
    type: str = ""


def designation(element: Mapping[str, Any]) -> Designation | None:
    """A `designation` element of a CodeSystem or ValueSet; None for one without a value."""
    value = element.get("value")
    if not isinstance(value, str):
        return None
    language, use = element.get("language"), element.get("use")
    return Designation(
        value, language if isinstance(language, str) else "", use if isinstance(use, dict) else None, element
    )


def designations(owner: Mapping[str, Any]) -> tuple[Designation, ...]:
    """The designations of a concept element."""
    return tuple(found for one in objects(owner.get("designation")) if (found := designation(one)) is not None)


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a list; nothing where it is none."""
    if isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                yield one
