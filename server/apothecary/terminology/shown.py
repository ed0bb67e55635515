"""How a code of a value set is shown in an expansion:
https://hl7.org/fhir/R5/valueset-definitions.html#ValueSet.expansion.contains
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apothecary.terminology.code_systems import CONCEPT_PROPERTIES
from apothecary.terminology.compose import Entry
from apothecary.terminology.languages import PREFERRED, Languages, Named, named
from apothecary.terminology.model import STANDARDS_STATUS, Designation, Property, objects

JSON = dict[str, Any]

_LANGUAGE_SYSTEM = "urn:ietf:bcp:47"
_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
# Extensions of a concept that an expansion tells as properties: the property's code, its standard name and its type.
_TOLD = {
    f"{_STRUCTURE}codesystem-conceptOrder": ("order", "order", "Decimal"),
    f"{_STRUCTURE}valueset-conceptOrder": ("order", "order", "Decimal"),
    f"{_STRUCTURE}codesystem-label": ("label", "label", "String"),
    f"{_STRUCTURE}valueset-label": ("label", "label", "String"),
    f"{_STRUCTURE}itemWeight": ("weight", "itemWeight", "Decimal"),
}
# Extensions that say something of the code wherever it is shown; others are for those who wrote them.
_COPIED = frozenset(
    _STRUCTURE + name
    for name in ("rendering-style", "rendering-xhtml", "valueset-deprecated", "valueset-concept-definition")
)
_OF_DESIGNATIONS = frozenset({f"{_STRUCTURE}coding-sctdescid", STANDARDS_STATUS})


@dataclass(slots=True)
class Shower:
    """Shows entries as a request wants them, and remembers which properties were told, with their uris.

    `designations` are what is wanted of them: `language-system|tag` or `use-system|code`; all, where there is nothing.
    """

    languages: Languages | None = None
    include_designations: bool = False
    designations: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    told: dict[str, str] = field(default_factory=dict)
    several: frozenset[str] = frozenset()
    """The systems of which the expansion holds more than one version: their codes say which."""

    def element(self, entry: Entry) -> JSON:
        """An element of `expansion.contains`."""
        names = named(entry)
        display, used = names.shown(self.languages)
        found: JSON = {}
        extensions = self._extensions(entry)
        if extensions:
            found["extension"] = extensions
        found["system"] = entry.url
        system, concept = entry.system, entry.concept
        if system is not None and concept is not None and system.is_abstract(concept):
            found["abstract"] = True
        if entry.inactive:
            found["inactive"] = True
        if entry.version is not None and entry.url in self.several:
            found["version"] = entry.version
        found["code"] = entry.code
        if display:
            found["display"] = display
        if self.include_designations or self.designations:
            listed = [*self._designations(names, display, used)]
            if listed:
                found["designation"] = listed
        told = [*self._properties(entry)]
        if told:
            found["property"] = told
        return found

    @staticmethod
    def _extensions(entry: Entry) -> list[Mapping[str, Any]]:
        """Those of the value set's own concept go before those of the code system's."""
        own = [*objects(entry.element.get("extension"))]
        urls = {str(one.get("url")) for one in own}
        others = [one for one in entry.concept.extensions if str(one.get("url")) not in urls] if entry.concept else []
        return [one for one in (*own, *others) if str(one.get("url")) in _COPIED]

    def _designations(self, names: Named, display: str, used: Designation | None) -> Iterable[JSON]:
        shown_base = used is None and bool(display)
        if names.display and not shown_base and self._wanted(names.language, PREFERRED):
            language = {"language": names.language} if names.language else {}
            yield {**language, "use": PREFERRED, "value": names.display}
        for one in names.designations:
            if one is not used and self._wanted(one.language, one.use):
                yield _element(one)

    def _wanted(self, language: str, use: Mapping[str, Any] | None) -> bool:
        if not self.designations:
            return True
        for one in self.designations:
            system, bar, code = one.rpartition("|")
            if system == _LANGUAGE_SYSTEM or not bar:
                if language.lower() == code.lower():
                    return True
            elif use is not None and (use.get("system"), use.get("code")) == (system, code):
                return True
        return False

    def _properties(self, entry: Entry) -> Iterable[JSON]:
        system, concept = entry.system, entry.concept
        said: dict[str, JSON] = {}
        for one in (*(concept.extensions if concept is not None else ()), *objects(entry.element.get("extension"))):
            meant = _TOLD.get(str(one.get("url")))
            if meant is not None:
                code, standard, kind = meant
                value = next((value for key, value in one.items() if key.startswith("value")), None)
                if value is not None:
                    said[code] = self._tell(Property(code, kind, value), CONCEPT_PROPERTIES + standard)
        if system is not None and concept is not None:
            status = system.status(concept)
            if status and status != "active" and "status" not in self.properties:
                said["status"] = self._tell(Property("status", "Code", status), f"{CONCEPT_PROPERTIES}status")
            if "definition" in self.properties and concept.definition:
                value = Property("definition", "String", concept.definition)
                yield self._tell(value, f"{CONCEPT_PROPERTIES}definition")
            for name in self.properties:
                for found in system.values(concept, name):
                    declared = system.properties.get(found.code)
                    yield self._tell(found, declared.uri if declared is not None else "")
                if name in ("parent", "child"):
                    codes = system.parents_of(concept.code) if name == "parent" else system.children_of(concept.code)
                    for code in codes:
                        yield self._tell(Property(name, "Code", code), CONCEPT_PROPERTIES + name)
        yield from said.values()

    def _tell(self, one: Property, uri: str) -> JSON:
        self.told.setdefault(one.code, uri)
        return {"code": one.code, f"value{one.type}": one.value}


def _element(one: Designation) -> JSON:
    extensions = [each for each in objects(one.json.get("extension")) if str(each.get("url")) in _OF_DESIGNATIONS]
    found: JSON = {"extension": extensions} if extensions else {}
    if one.language:
        found["language"] = one.language
    if one.use is not None:
        found["use"] = one.use
    additional = one.json.get("additionalUse")
    if isinstance(additional, list):
        found["additionalUse"] = additional
    return {**found, "value": one.value}
