"""Resources -> the sheet that they could have been built from.

What a sheet has no room for is told with its place in the resource, never dropped: building the sheet again must give
the same resources. https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apothecary.authoring.documents import (
    read_discrepancy,
    read_evidence,
    read_population,
    read_source,
    source_of,
)
from apothecary.authoring.knowledge import DERIVED, KNOWLEDGE, read_package
from apothecary.authoring.lens import CONCEPT, Many
from apothecary.authoring.monograph import read_provenance, read_sections
from apothecary.authoring.parts import DOSING
from apothecary.authoring.pen import SOURCE_CLAIM, STRANGE, Pen
from apothecary.authoring.statements import KINDS
from apothecary.authoring.terms import Vocabulary
from apothecary.authoring.types import any_of
from apothecary.errors import StartError
from apothecary.fhir.json import JSON

# The keys of a table that are written first.
_FIRST = (
    *(
        "id",
        "key",
        "title",
        "text",
        "range",
        "amount",
        "type",
        "substance",
        "strength",
        "per",
        "code",
        "codes",
        "claims",
        "basis",
    ),
    *("status", "status-claims", "effect-statement"),
)


def import_sheet(
    drug: str, resources: Mapping[str, JSON], ledger: Mapping[str, Mapping[str, JSON]], vocabulary: Vocabulary
) -> tuple[dict[str, Any], list[str]]:
    """The sheet of a drug, and what of its resources a sheet cannot say: `Type/id element: reason`.

    `resources` are by reference, `ledger` has the claims of each source. Raises StartError where there is no such drug.
    """
    knowledge = resources.get(f"MedicationKnowledge/{drug}")
    if knowledge is None:
        known = sorted(key.partition("/")[2] for key in resources if key.startswith("MedicationKnowledge/"))
        raise StartError(f"there is no MedicationKnowledge/{drug}; there are {', '.join(known) or 'none'}")
    try:
        return _Importer(drug, knowledge, resources, ledger, vocabulary).sheet()
    except STRANGE as error:
        said = f"MedicationKnowledge/{drug}, or what belongs to it, has a form that no sheet builds"
        raise StartError(said) from error


class _Importer:
    def __init__(
        self,
        drug: str,
        knowledge: JSON,
        resources: Mapping[str, JSON],
        ledger: Mapping[str, Mapping[str, JSON]],
        vocabulary: Vocabulary,
    ) -> None:
        self.drug = drug
        self.knowledge = knowledge
        self.resources = resources
        self.ledger = ledger
        self.composition = resources.get(f"Composition/{drug}-monograph", {})
        self.statements = {kind.key: self._statements(kind.key) for kind in KINDS}
        ids = [one["id"] for found in self.statements.values() for one in found]
        by_drug = all(id.startswith(f"{drug}-") for id in ids)
        claims: dict[str, tuple[str, ...]] = {}
        for key, one in ledger.items():
            for claim in one:
                claims[f"{key}:{claim}"] = (f"{key}:{claim}",)
        self.pen = Pen(vocabulary, drug, f"{drug}-" if by_drug else "", claims)

    def sheet(self) -> tuple[dict[str, Any], list[str]]:
        """The sheet, and what it cannot say."""
        pen = self.pen
        composition = self.composition
        date = composition.get("date", "")
        sheet: dict[str, Any] = {
            "drug": self.drug,
            "title": composition.get("title", self.drug),
            "date": date,
            # What is usual is not said.
            "status": composition.get("status", "").replace("preliminary", ""),
            "ids": "" if pen.prefix else "as-written",
            "editors": self.knowledge.get("author", {}).get("reference", "").removeprefix("Organization/"),
            "note": " ".join(one["text"] for one in composition.get("note", ())),
            "sources": self._sources(),
        }
        steps = self._of("Provenance", lambda one: self._is_target(one))
        sheet["provenance"] = [read_provenance(one) for one in steps]
        sheet["substances"] = self._substances()
        sheet["knowledge"] = self._knowledge(self.knowledge)
        medication = self.resources.get(f"Medication/{self.drug}", {})
        own, other = any_of(sheet["knowledge"]["code"]), any_of(self._part(medication, "code", CONCEPT))
        if own.get("claims") != other.get("claims"):
            sheet["knowledge"]["medication-claims"] = other.get("claims", [])
        sheet["products"] = [{"id": one["id"], **self._knowledge(one)} for one in self._products()]
        sheet["populations"] = self._each("Group", self._named("population"), read_population)
        for kind in KINDS:
            sheet[kind.key] = []
            for one in self.statements[kind.key]:
                with pen.at(f"ClinicalUseDefinition/{one['id']}"):
                    kept = {key: value for key, value in one.items() if key not in ("text", "subject")}
                    read = kind.lens.read(kept, pen)
                if kind.key == "uses" and (dosing := self._dosing(one["id"])):
                    read["dosing"] = dosing
                sheet[kind.key].append(read)
        sheet["evidence"] = self._each("Evidence", self._entries("Evidence"), read_evidence)
        sheet["discrepancies"] = self._each(
            "ArtifactAssessment", self._entries("ArtifactAssessment"), lambda one, pen: read_discrepancy(one, date, pen)
        )
        with pen.at("Composition"):
            sheet["sections"] = read_sections(composition, sheet, pen)
        faults = [f"{place[0] if place else ''} {'.'.join(map(str, place[1:]))}: {said}" for place, said in pen.faults]
        return {key: _tidy(value) for key, value in sheet.items() if value not in ([], "")}, faults

    def _part(self, resource: JSON, element: str, lens: Any) -> Any:
        with self.pen.at(f"{resource.get('resourceType')}/{resource.get('id')}", element):
            return lens.read(resource[element], self.pen) if element in resource else {}

    def _of(self, kind: str, wanted: Any) -> list[JSON]:
        return [one for one in self.resources.values() if one["resourceType"] == kind and wanted(one)]

    def _is_target(self, provenance: JSON) -> bool:
        return f"MedicationKnowledge/{self.drug}" in [one.get("reference") for one in provenance.get("target", ())]

    def _statements(self, key: str) -> list[JSON]:
        kind = next(one for one in KINDS if one.key == key)
        named = [
            one["indication"][0]["reference"]["reference"] for one in self.knowledge.get("indicationGuideline", ())
        ]
        named += [one["reference"] for one in self.knowledge.get("clinicalUseIssue", ())]
        found = [self.resources[one] for one in dict.fromkeys(named) if one in self.resources]
        return [one for one in found if kind.holds(one)]

    def _entries(self, kind: str) -> list[str]:
        """The references of one type that the monograph's sections name."""
        named = [one["reference"] for part in self.composition.get("section", ()) for one in part.get("entry", ())]
        return [one for one in dict.fromkeys(named) if one.startswith(f"{kind}/")]

    def _named(self, element: str) -> list[str]:
        """The references that statements have in an element, in the order of their ids."""
        named = {
            one["reference"] for found in self.statements.values() for each in found for one in each.get(element, ())
        }
        return sorted(named)

    def _each(self, kind: str, references: Iterable[str], read: Any) -> list[JSON]:
        found = []
        for reference in references:
            if reference in self.resources:
                with self.pen.at(reference):
                    found.append(read(self.resources[reference], self.pen))
            else:
                self.pen.fault(f"there is no {kind} {reference}")
        return found

    def _sources(self) -> list[JSON]:
        named = [one["source"]["reference"] for one in self.knowledge.get("monograph", ()) if "source" in one]
        keys = [source_of(self.resources.get(one, {})) or self.drug for one in named]
        # A claim is written as shortly as the sources allow.
        for key in dict.fromkeys(keys):
            for claim in self.ledger.get(key, {}):
                self.pen.claims = {**self.pen.claims, claim: (*self.pen.claims.get(claim, ()), f"{key}:{claim}")}
        found = self._each("DocumentReference", named, read_source)
        if not found:
            raise StartError(f"MedicationKnowledge/{self.drug} names no source in its monograph")
        for one in found:
            # Content from before claims named their source has one ledger for all.
            one.setdefault("key", self.drug)
            one["claims"] = {**self.ledger.get(one["key"], {})}
        return found

    def _substances(self) -> list[JSON]:
        found: dict[str, JSON] = {}
        for knowledge in (self.knowledge, *self._products()):
            for ingredient in knowledge.get("definitional", {}).get("ingredient", ()):
                item = ingredient["item"]
                reference = item.get("reference", {}).get("reference", "")
                resource = self.resources.get(reference)
                if resource is None or resource["id"] in found:
                    continue
                self.pen.substances[resource["id"]] = item
                with self.pen.at(reference):
                    concept = any_of(CONCEPT.read(resource["code"]["concept"], self.pen))
                    here = any_of(CONCEPT.read(item["concept"], self.pen))
                found[resource["id"]] = {"id": resource["id"], **concept}
                if here.get("codes") != concept.get("codes"):
                    found[resource["id"]]["ingredient-codes"] = here.get("codes", [])
        return [*found.values()]

    def _products(self) -> list[JSON]:
        related = [
            one["reference"]
            for each in self.knowledge.get("relatedMedicationKnowledge", ())
            for one in each["reference"]
        ]
        targets = [one["reference"] for each in self._of("Provenance", self._is_target) for one in each["target"]]
        named = [one for one in dict.fromkeys([*related, *sorted(targets)]) if one in targets]
        mine = [one for one in named if one.startswith("MedicationKnowledge/") and one in self.resources]
        return [self.resources[one] for one in mine if one != f"MedicationKnowledge/{self.drug}"]

    def _knowledge(self, resource: JSON) -> JSON:
        with self.pen.at(f"MedicationKnowledge/{resource['id']}"):
            kept = {key: value for key, value in resource.items() if key not in DERIVED}
            read: JSON = KNOWLEDGE.read(kept, self.pen)
        packages = []
        for one in resource.get("packaging", ()):
            reference = one.get("packagedProduct", {}).get("reference", "")
            if reference in self.resources:
                with self.pen.at(reference):
                    packages.append(read_package(self.resources[reference], one, resource["id"], self.pen))
        return {**read, **({"packaging": packages} if packages else {})}

    def _dosing(self, use: str) -> list[JSON]:
        for one in self.knowledge.get("indicationGuideline", ()):
            if one["indication"][0]["reference"]["reference"] == f"ClinicalUseDefinition/{use}":
                with self.pen.at(f"MedicationKnowledge/{self.drug}", "indicationGuideline"):
                    found: list[JSON] = Many(DOSING).read(one.get("dosingGuideline", []), self.pen)
                return found
        return []


def _tidy(node: Any) -> Any:
    """The same with what names a part in front."""
    if isinstance(node, dict):
        order = [*(key for key in _FIRST if key in node), *(key for key in node if key not in _FIRST)]
        return {key: _tidy(node[key]) for key in order}
    return [_tidy(one) for one in node] if isinstance(node, list) else node


def source_key(resources: Iterable[JSON]) -> str:
    """The source that claims without one are of: the drug's own, where there is one monograph."""
    drugs = {
        one["id"].removesuffix("-monograph")
        for one in resources
        if one["resourceType"] == "Composition" and one["id"].endswith("-monograph")
    }
    return drugs.pop() if len(drugs) == 1 else "source"


def qualified(resources: Iterable[JSON], key: str) -> dict[str, JSON]:
    """Resources by reference, with the source `key` in front of claims that name none."""
    return {f"{one['resourceType']}/{one['id']}": _qualified(one, key) for one in resources}


def _qualified(node: Any, key: str) -> Any:
    if isinstance(node, list):
        return [_qualified(one, key) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("url") == SOURCE_CLAIM and ":" not in node.get("valueString", ":"):
        return {**node, "valueString": f"{key}:{node['valueString']}"}
    return {name: _qualified(one, key) for name, one in node.items()}
