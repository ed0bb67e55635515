"""Values of FHIR in words, for narratives: whatever type a value has, every part of it is said.

https://hl7.org/fhir/R5/datatypes.html. The definitions tell the type of each element, so no element is without words:
what has no wording of its own here is said as `label: value`, part by part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apothecary.authoring.pen import ABSENT, BASIS, EXTENSION, RELATION, SOURCE_CLAIM
from apothecary.authoring.terms import is_outside
from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

SYSTEMS = {
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://snomed.info/sct": "SNOMED CT",
    "https://www.nlm.nih.gov/mesh": "MeSH",
    "http://purl.obolibrary.org/obo/mondo.owl": "Mondo",
    "http://human-phenotype-ontology.org": "HPO",
    "http://fdasis.nlm.nih.gov": "UNII",
    "http://va.gov/terminology/medrt": "MED-RT",
    "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl": "NCIt",
    "http://loinc.org": "LOINC",
    "http://www.whocc.no/atc": "ATC",
}
RELATIONS = {
    "source-is-narrower-than-target": "broader than the text",
    "source-is-broader-than-target": "narrower than the text",
    "related-to": "approximate",
}
# What other places say: the claims and bases of a resource are listed once, at its end.
_ELSEWHERE = frozenset({SOURCE_CLAIM, BASIS, RELATION})
# In place of words for an element: what it says leads the others, before a colon.
LEAD = ":"
_STATUS = EXTENSION + "claim-regulatory-status"
_QUALIFICATION = EXTENSION + "qualification"
_UNKNOWN = "unknown: the source does not say"
_UCUM = "http://unitsofmeasure.org"
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@short_cache(2048)
def _declared(type_name: str) -> Mapping[str, tuple[int, str]]:
    """The elements of a type: place and structure of each."""
    known = definitions(FhirVersion.R5)
    properties = known.structure(type_name).properties if known.has_structure(type_name) else {}
    return {name: (place, one.structure) for place, (name, one) in enumerate(properties.items())}


class Speaker:
    """Says values. `name` says what a reference leads to; `labels` have better words for elements, by path."""

    def __init__(self, name: Callable[[JSON], str], labels: Mapping[str, str]) -> None:
        self._name = name
        self._labels = labels
        self._wordings: Mapping[str, Callable[[JSON], str | None]] = {
            "CodeableConcept": self._concept,
            "Coding": lambda value: self._coding(value),
            "Quantity": self._quantity,
            "Duration": self._quantity,
            "Age": self._quantity,
            "Count": self._quantity,
            "Distance": self._quantity,
            "Range": self._range,
            "Ratio": self._ratio,
            "Money": self._money,
            "Period": self._period,
            "Reference": self._reference,
            "CodeableReference": self._codeable_reference,
            "Annotation": self._annotation,
            "Extension": self._extension,
        }

    def label(self, path: str) -> str:
        """The words for an element: `doseForm` is `dose form`."""
        if path in self._labels:
            return self._labels[path]
        return _WORDS.sub(" ", path.rpartition(".")[2]).lower()

    def elements(self, node: Mapping[str, Any], type_name: str) -> Iterator[tuple[str, str, Any, Any]]:
        """Name, type, value and companion of each element of an object, in the order of the specification."""
        declared = _declared(type_name)
        beyond = len(declared), ""
        names = dict.fromkeys(name.removeprefix("_") for name in node)
        for name in sorted(names, key=lambda one: declared.get(one, beyond)[0]):
            yield name, declared.get(name, beyond)[1], node.get(name), node.get(f"_{name}")

    def all(self, value: Any, type_name: str, path: str, companion: Any = None) -> list[str]:
        """What a value says: an item for each of a list."""
        if not isinstance(value, list) and not isinstance(companion, list):
            return [self.say(value, type_name, path, companion)]
        values, companions = value or [], companion or []
        count = max(len(values), len(companions))
        padded = ([*one, *[None] * (count - len(one))] for one in (values, companions))
        return [self.say(one, type_name, path, beside) for one, beside in zip(*padded, strict=True)]

    def say(self, value: Any, type_name: str, path: str, companion: Any = None) -> str:
        """A value in words. `companion` is what `_name` holds beside a primitive."""
        if isinstance(value, dict):
            if isinstance(value.get("resourceType"), str):
                return self._parts(value, value["resourceType"], value["resourceType"])
            wording = self._wordings.get(type_name)
            said = wording(value) if wording else None
            return said if said is not None else self._parts(value, type_name, path)
        text = "" if value is None else ("yes" if value is True else "no" if value is False else str(value))
        extra = self.extensions((companion or {}).get("extension", ())) if isinstance(companion, dict) else []
        return "; ".join(filter(None, [text, *extra]))

    def extensions(self, found: Iterable[JSON]) -> list[str]:
        """What the extensions of an element say that no other place says."""
        said = []
        for one in found:
            if one["url"] == ABSENT:
                said.append(_UNKNOWN if one.get("valueCode") == "unknown" else str(one.get("valueCode")))
            elif one["url"] == _QUALIFICATION:
                said += [str(part["valueMarkdown"]) for part in one["extension"] if part["url"] == "text"]
            elif one["url"] == _STATUS:
                said.append(concept_text(one.get("valueCodeableConcept", {})))
            elif one["url"] not in _ELSEWHERE:
                said.append(self.say(one, "Extension", "Extension"))
        return said

    def _parts(self, node: Mapping[str, Any], type_name: str, path: str) -> str:
        lead, said = "", []
        for name, kind, value, companion in self.elements(node, type_name):
            if name in ("resourceType", "extension", "modifierExtension"):
                continue
            here = f"{type_name or path}.{name}"
            label, text = self.label(here), ", ".join(self.all(value, kind, here, companion))
            if label == LEAD:
                lead = f"{text}: "
            else:
                said.append(f"{label}: {text}" if label else text)
        return self._with(node, (lead + "; ".join(said)).removesuffix(": "), separator="; ")

    def _with(self, node: Mapping[str, Any], text: str, separator: str = " ") -> str:
        more = self.extensions([*node.get("extension", ()), *node.get("modifierExtension", ())])
        return separator.join(filter(None, [text, *(f"({one})" if separator == " " and text else one for one in more)]))

    def _rest(self, node: Mapping[str, Any], said: Iterable[str], type_name: str, text: str) -> str:
        """`text`, and the parts of an object that it does not say."""
        kept = {key: value for key, value in node.items() if key.removeprefix("_") not in {*said, "extension"}}
        return "; ".join(
            filter(None, [self._with(node, text), self._parts(kept, type_name, type_name) if kept else ""])
        )

    def _concept(self, concept: JSON) -> str:
        codings = concept.get("coding", ())
        text = concept_text(concept)
        said = "; ".join(self._coding(one, text) for one in codings)
        if "text" in concept:
            shown = f"{text} [{said}]" if said else text
        elif len(codings) == 1 and "display" in codings[0] and not is_outside(codings[0].get("system", "")):
            # The code of a list of FHIR's own is less to a reader than what it stands for.
            shown = f"{text} [{self._coding({key: one for key, one in codings[0].items() if key != 'display'})}]"
        else:
            shown = said
        return self._rest(concept, ("text", "coding"), "CodeableConcept", shown)

    def _coding(self, coding: JSON, text_of: str = "") -> str:
        system = coding.get("system", "")
        named = SYSTEMS.get(system) or (system if is_outside(system) else system.rpartition("/")[2])
        text = f"{named} {coding.get('code', '')}".strip()
        # A code of FHIR's own lists that is called like the text needs no second name.
        if "display" in coding and (coding["display"] != text_of or is_outside(system)):
            text += f' "{coding["display"]}"'
        for one in coding.get("extension", ()):
            if one["url"] == RELATION:
                text += f" ({RELATIONS.get(one['valueCode'], one['valueCode'])})"
        return self._rest(coding, ("system", "code", "display"), "Coding", text)

    def _quantity(self, value: JSON) -> str:
        unit = value.get("unit", value.get("code", ""))
        text = f"{value.get('comparator', '')}{value.get('value', '')} {unit}".strip()
        said = ["comparator", "value", "unit", *(["system"] if value.get("system") == _UCUM else [])]
        code = str(value.get("code", ""))
        # {tbl} measures nothing: the unit says what is counted.
        if code == unit or (code.startswith("{") and unit):
            said.append("code")
        return self._rest(value, said, "Quantity", text)

    def _range(self, value: JSON) -> str:
        low, high = value.get("low"), value.get("high")
        if low and high:
            # A unit that only a code tells may be another one, too.
            same = "value" in low and "value" in high and {**low, "value": ""} == {**high, "value": ""}
            first = str(low["value"]) if same else self._quantity(low)
            text = f"{first} to {self._quantity(high)}"
        elif high:
            text = f"up to {self._quantity(high)}"
        else:
            text = f"from {self._quantity(low)}" if low else ""
        return self._rest(value, ("low", "high"), "Range", text)

    def _ratio(self, value: JSON) -> str:
        numerator, denominator = (self._quantity(value.get(part, {})) for part in ("numerator", "denominator"))
        text = f"{numerator} per {denominator}" if denominator else numerator
        return self._rest(value, ("numerator", "denominator"), "Ratio", text)

    def _money(self, value: JSON) -> str:
        text = f"{value.get('value', '')} {value.get('currency', '')}".strip()
        return self._rest(value, ("value", "currency"), "Money", text)

    def _period(self, value: JSON) -> str:
        text = " ".join(f"{word} {value[key]}" for word, key in (("from", "start"), ("until", "end")) if key in value)
        return self._rest(value, ("start", "end"), "Period", text)

    def _reference(self, value: JSON) -> str:
        named = self._name(value)
        said = [key for key in ("reference", "display") if key in value]
        rest = {key: one for key, one in value.items() if key not in {*said, "extension"}}
        more = self._parts(rest, "Reference", "Reference") if rest else ""
        return self._with(value, "; ".join(filter(None, [named, more])))

    def _codeable_reference(self, value: JSON) -> str:
        said = [self._concept(value["concept"])] if "concept" in value else []
        if "reference" in value:
            named = self._reference(value["reference"])
            # A concept and what it refers to are mostly called the same.
            if not said or named not in said[0]:
                said.append(named)
        return self._rest(value, ("concept", "reference"), "CodeableReference", "; ".join(said))

    def _annotation(self, value: JSON) -> str | None:
        return str(value["text"]) if value.keys() <= {"text", "extension"} and "text" in value else None

    def _extension(self, value: JSON) -> str:
        url = value["url"]
        label = _WORDS.sub(" ", url.removeprefix(EXTENSION).rpartition("/")[2].replace("-", " ")).lower()
        known = {name: one for name, one in value.items() if name not in ("url", "extension")}
        said = [self.say(one, _type_of(name), name) for name, one in known.items()]
        said += self.extensions(value.get("extension", ()))
        return f"{label}: {'; '.join(filter(None, said))}"


def _type_of(name: str) -> str:
    """The type of `valueQuantity`."""
    kind = name.removeprefix("value")
    return kind if kind[:1].isupper() else ""


def concept_text(concept: JSON) -> str:
    """The text of a CodeableConcept, else its first display or code; empty where it has none of them."""
    if "text" in concept:
        return str(concept["text"])
    for coding in concept.get("coding", ()):
        if found := coding.get("display") or coding.get("code"):
            return str(found)
    return ""
