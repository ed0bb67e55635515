"""What the narrative of each resource type shows, as a title, paragraphs and labelled rows of XHTML.

https://hl7.org/fhir/R5/narrative.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import Any

from apothecary.authoring.ledger import claim_ids
from apothecary.authoring.pen import BASIS, EXTENSION
from apothecary.authoring.say import LEAD, Speaker, concept_text

Resource = dict[str, Any]
Row = tuple[str, str]
Described = tuple[str, list[str], list[Row]]

# The element that says what each type of ClinicalUseDefinition is about.
_SUBJECTS = (
    ("indication", "diseaseSymptomProcedure"),
    ("contraindication", "diseaseSymptomProcedure"),
    ("undesirableEffect", "symptomConditionEffect"),
    ("warning", "code"),
)
_KINDS = {
    "indication": "Use: ",
    "contraindication": "Contraindication: ",
    "interaction": "Interaction: ",
    "undesirable-effect": "Undesirable effect: ",
    "warning": "Warning: ",
}
# Better words for elements than their names are.
LABELS: Mapping[str, str] = {
    "ClinicalUseDefinition.indication.diseaseSymptomProcedure": "condition",
    "ClinicalUseDefinition.indication.diseaseStatus": "course",
    "ClinicalUseDefinition.indication.comorbidity": "in the presence of",
    "ClinicalUseDefinition.indication.durationString": "duration",
    "ClinicalUseDefinition.indication.durationRange": "duration",
    "ClinicalUseDefinition.contraindication.diseaseSymptomProcedure": "condition",
    "ClinicalUseDefinition.contraindication.diseaseStatus": "course",
    "ClinicalUseDefinition.contraindication.comorbidity": "in the presence of",
    "ClinicalUseDefinition.interaction.interactant": "together with",
    "ClinicalUseDefinition.interaction.interactant.itemCodeableConcept": "",
    "ClinicalUseDefinition.interaction.interactant.itemReference": "",
    "ClinicalUseDefinition.undesirableEffect.symptomConditionEffect": "effect",
    "ClinicalUseDefinition.undesirableEffect.frequencyOfOccurrence": "frequency",
    "ClinicalUseDefinition.contraindication.otherTherapy.relationshipType": LEAD,
    "ClinicalUseDefinition.contraindication.otherTherapy.treatment": "",
    "ClinicalUseDefinition.indication.otherTherapy.relationshipType": LEAD,
    "ClinicalUseDefinition.indication.otherTherapy.treatment": "",
    "ClinicalUseDefinition.warning.code": "kind",
    "MedicationKnowledge.code": "code",
    "MedicationKnowledge.name": "names",
    "MedicationKnowledge.productType": "kind",
    "MedicationKnowledge.indicationGuideline": "uses (with regulatory status)",
    "MedicationKnowledge.indicationGuideline.indication": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.administrationTreatment": "line of therapy",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.dosage": "dose",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.dosage.type": LEAD,
    "MedicationKnowledge.indicationGuideline.dosingGuideline.dosage.dosage": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic": "for",
    "MedicationKnowledge.medicineClassification": "classes",
    "MedicationKnowledge.medicineClassification.type": LEAD,
    "MedicationKnowledge.medicineClassification.classification": "",
    "MedicationKnowledge.medicineClassification.sourceString": "source",
    "MedicationKnowledge.medicineClassification.sourceUri": "source",
    "MedicationKnowledge.cost.type": LEAD,
    "MedicationKnowledge.cost.costMoney": "",
    "MedicationKnowledge.cost.costCodeableConcept": "",
    "MedicationKnowledge.monograph.type": LEAD,
    "MedicationKnowledge.monograph.source": "",
    "MedicationKnowledge.storageGuideline.environmentalSetting.type": LEAD,
    "MedicationKnowledge.storageGuideline.environmentalSetting.valueRange": "",
    "MedicationKnowledge.storageGuideline.environmentalSetting.valueQuantity": "",
    "MedicationKnowledge.storageGuideline.environmentalSetting.valueCodeableConcept": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic.type": LEAD,
    "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic.valueRange": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic.valueQuantity": "",
    "MedicationKnowledge.indicationGuideline.dosingGuideline.patientCharacteristic.valueCodeableConcept": "",
    "MedicationKnowledge.clinicalUseIssue": "limitations, warnings and other issues",
    "MedicationKnowledge.relatedMedicationKnowledge": "related",
    "MedicationKnowledge.relatedMedicationKnowledge.type": LEAD,
    "MedicationKnowledge.relatedMedicationKnowledge.reference": "",
    "MedicationKnowledge.definitional.intendedRoute": "route",
    "MedicationKnowledge.definitional.ingredient.item": "",
    "MedicationKnowledge.definitional.ingredient.strengthRatio": "",
    "MedicationKnowledge.definitional.ingredient.strengthQuantity": "",
    "MedicationKnowledge.definitional.ingredient.strengthCodeableConcept": "",
    "MedicationKnowledge.definitional.drugCharacteristic": "characteristics",
    "MedicationKnowledge.definitional.drugCharacteristic.type": LEAD,
    "MedicationKnowledge.definitional.drugCharacteristic.valueString": "",
    "MedicationKnowledge.definitional.drugCharacteristic.valueCodeableConcept": "",
    "MedicationKnowledge.definitional.drugCharacteristic.valueQuantity": "",
    "Medication.definition": "knowledge",
    "Medication.ingredient.item": "",
    "Medication.ingredient.isActive": "active",
    "Medication.ingredient.strengthRatio": "",
    "Medication.ingredient.strengthQuantity": "",
    "Medication.ingredient.strengthCodeableConcept": "",
    "Dosage.text": "",
    "Evidence.assertion": "statement",
    "Evidence.variableDefinition": "variables",
    "Evidence.variableDefinition.variableRole": LEAD,
    "Evidence.variableDefinition.description": "",
    "Evidence.certainty.description": "",
    "Group.characteristic.code": LEAD,
    "Group.characteristic.valueCodeableConcept": "",
    "Extension.text": "",
}
# Objects whose elements are rows of their own.
_FLAT = frozenset(
    {
        "MedicationKnowledge.definitional",
        "ClinicalUseDefinition.contraindication",
        "ClinicalUseDefinition.indication",
        "ClinicalUseDefinition.interaction",
        "ClinicalUseDefinition.undesirableEffect",
        "ClinicalUseDefinition.warning",
    }
)
_ABOUT_THE_RECORD = frozenset({"resourceType", "id", "meta", "implicitRules", "language", "text"})
_TITLES = {
    "related-evidence": "evidence",
    "limitation-condition": "condition",
    "limitation-intended-effect": "intended effect",
    "effect-statement": "statement of effect",
    "content-sha256": "SHA-256",
}


class Library:
    """The resources by reference, so that a narrative can call a target by its name."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_reference = {f"{each['resourceType']}/{each['id']}": each for each in resources}
        self._questions: dict[str, list[str]] = {}
        for each in self._by_reference.values():
            if each["resourceType"] == "ArtifactAssessment":
                parts = [one for part in each.get("content", ()) for one in part.get("relatedArtifact", ())]
                for one in (each.get("artifactReference", {}), *(part.get("resourceReference", {}) for part in parts)):
                    self._questions.setdefault(one.get("reference", ""), []).append(name_of(each))
        self.speaker = Speaker(self.name, LABELS)

    def name(self, reference: Resource) -> str:
        """What a reader calls the target: its own name and a display that differs; else display and reference."""
        target = self._by_reference.get(reference.get("reference", ""))
        display = str(reference.get("display", ""))
        if target is None:
            address = str(reference.get("reference", ""))
            return f"{display} ({address})" if display and address else display or address
        return called(name_of(target), reference)

    def questions(self, resource: Resource) -> list[str]:
        """What the editors questioned about a resource, by title."""
        return self._questions.get(f"{resource['resourceType']}/{resource.get('id')}", [])

    def descriptions(self, references: Iterable[Resource]) -> list[str]:
        """The descriptions of the targets that have one."""
        targets = [self._by_reference.get(each.get("reference", ""), {}) for each in references]
        return [str(each["description"]) for each in targets if "description" in each]

    def get(self, reference: Resource) -> Resource | None:
        """The target itself; None where it is not at hand."""
        return self._by_reference.get(reference.get("reference", ""))

    def names(self, references: Iterable[Resource]) -> str:
        """The names of several targets as a list."""
        return bullets(self.name(reference) for reference in references)


def name_of(resource: Resource) -> str:
    """A short name for any resource type of the content."""
    kind = resource["resourceType"]
    if kind == "ClinicalUseDefinition" and (found := _stated(resource)):
        return found
    if kind == "DocumentReference":
        titles = [one.get("attachment", {}).get("title") for one in resource.get("content", ())]
        return str(next(filter(None, titles), resource.get("id", kind)))
    if kind == "Provenance":
        return concept_text(resource.get("activity", {}))
    for key in ("title", "name"):
        if isinstance(resource.get(key), str):
            return str(resource[key])
    code = resource.get("code", {})
    found = concept_text(code.get("concept", code)) if isinstance(code, dict) else ""
    return found or str(resource.get("id", kind))


def called(name: str, reference: Resource) -> str:
    """What a target of that name is called where a reference has a display of its own."""
    display = str(reference.get("display", ""))
    return f"{name} ({display})" if display and display != name else name


def _stated(resource: Resource) -> str:
    """What a ClinicalUseDefinition is about, in a few words; empty where it does not say."""
    if "interaction" in resource:
        items = [one.get("itemCodeableConcept", {}) for one in resource["interaction"].get("interactant", ())]
        return ", ".join(filter(None, map(concept_text, items)))
    for kind, element in _SUBJECTS:
        if found := resource.get(kind, {}).get(element, {}):
            return concept_text(found.get("concept", found))
    return str(resource.get("warning", {}).get("description", ""))


def bullets(items: Iterable[str]) -> str:
    """The items, escaped, as an XHTML list; a single item stands alone, no item is the empty text."""
    texts = [escape(item) for item in items]
    if len(texts) < 2:
        return "".join(texts)
    return "<ul>" + "".join(f"<li>{text}</li>" for text in texts) + "</ul>"


def extensions(element: Resource, name: str) -> list[Resource]:
    """The extensions of this product called `name` on `element`."""
    return [each for each in element.get("extension", []) if each["url"] == EXTENSION + name]


def sentence(text: str) -> str:
    """`text` with a capital first letter and the others as they are."""
    return text[:1].upper() + text[1:]


def _text(element: Resource, key: str, label: str) -> list[Row]:
    return [(label, escape(str(element[key])))] if key in element else []


def _whole(resource: Resource, library: Library) -> Described:
    """Every element, in the order of the specification."""
    kind = resource["resourceType"]
    title = name_of(resource)
    if kind == "ClinicalUseDefinition":
        codings = [coding for one in resource.get("category", ()) for coding in one.get("coding", ())]
        limited = "limitation-of-use" in [coding.get("code") for coding in codings]
        title = ("Limitation of use: " if limited else _KINDS.get(resource.get("type", ""), "")) + title
    sources = [each["source"] for each in resource.get("monograph", []) if "source" in each]
    rows = [*_rows(resource, kind, library)]
    rows.append(("Questioned by the editors", bullets(library.questions(resource))))
    if bases := sorted(_bases(resource)):
        rows.append(("Not from the source alone", ", ".join(bases)))
    return title, library.descriptions(sources), rows


def _rows(node: Resource, type_name: str, library: Library) -> Iterator[Row]:
    speaker = library.speaker
    for name, kind, value, companion in speaker.elements(node, type_name):
        path = f"{type_name}.{name}"
        if name in _ABOUT_THE_RECORD or name in ("extension", "modifierExtension"):
            continue
        if path in _FLAT:
            yield from _rows(value, kind, library)
        elif not (name in ("title", "name") and "resourceType" in node and value == name_of(node)):
            yield sentence(speaker.label(path) or name), bullets(speaker.all(value, kind, path, companion))
    yield from _extension_rows([*node.get("extension", ()), *node.get("modifierExtension", ())], library)


def _extension_rows(found: Iterable[Resource], library: Library) -> Iterator[Row]:
    """Those of the product's own in words; any other by its name."""
    speaker = library.speaker
    covered: dict[str, list[str]] = {}
    for one in found:
        name = one["url"].removeprefix(EXTENSION)
        if name == "effect-timing":
            for part in one["extension"]:
                label = {"onset": "Onset of effect", "duration": "Duration of effect"}[part["url"]]
                yield label, escape(speaker.say(part["valueRange"], "Range", "Range"))
        elif name == "content-coverage":
            parts = {part["url"]: part for part in one["extension"]}
            note = f" ({parts['note']['valueString']})" if "note" in parts else ""
            said = speaker.say(parts["section"]["valueCodeableConcept"], "CodeableConcept", "")
            covered.setdefault(parts["coverage"]["valueCode"], []).append(said + note)
        elif name == "qualification":
            yield "Remark", escape("; ".join(speaker.extensions([one])))
        else:
            for said in speaker.extensions([one]):
                label, separator, text = said.partition(": ")
                label = _TITLES.get(name, label) if separator else name
                yield sentence(label), escape(text if separator else said)
    for coverage, sections in covered.items():
        yield f"Content {coverage.replace('-', ' ')}", bullets(sections)


def _bases(resource: Resource) -> set[str]:
    """What the elements of a resource rest on that no source states."""
    found: set[str] = set()
    waiting: list[Any] = [resource]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("url") == BASIS:
                found.add(one["valueCode"])
            one = one.values()
        waiting += [inner for inner in one if inner.__class__ in (dict, list)]
    return found


def _artifact_assessment(resource: Resource, library: Library) -> Described:
    targets = [resource.get("artifactReference", {})]
    rows: list[Row] = []
    labels = {"comment": "What was found", "response": "How it is shown"}
    for part in resource.get("content", ()):
        kind = part.get("informationType", "")
        rows.append((labels.get(kind, sentence(kind)), escape(part.get("summary", ""))))
        targets += [
            each["resourceReference"] for each in part.get("relatedArtifact", []) if "resourceReference" in each
        ]
    rows.append(("Concerns", library.names(targets)))
    rows += _text(resource, "workflowStatus", "Workflow status") + _text(resource, "disposition", "Disposition")
    return name_of(resource), [], rows


def _composition(resource: Resource, library: Library) -> Described:
    sections = resource.get("section", ())
    supplied = [section.get("title", "") for section in sections if "emptyReason" not in section]
    empty = [section.get("title", "") for section in sections if "emptyReason" in section]
    rows = [("Status", escape(resource.get("status", ""))), ("Sections with content", bullets(supplied))]
    rows.append(("Sections that the source does not supply", bullets(empty)))
    return name_of(resource), [note["text"] for note in resource.get("note", ())], rows


def _document_reference(resource: Resource, library: Library) -> Described:
    attachment: Resource = next((one.get("attachment", {}) for one in resource.get("content", ())), {})
    rows = _text(resource, "description", "Description") + _text(attachment, "contentType", "Content type")
    rows += [("Licence", escape(each["valueString"])) for each in extensions(resource, "source-licence")]
    rows += _text(attachment, "creation", "Written")
    if "size" in attachment:
        rows.append(("Size", f"{attachment['size']} bytes"))
    rows += _text(attachment, "hash", "SHA-1 (base64)")
    rows += [("SHA-256", escape(each["valueString"])) for each in extensions(attachment, "content-sha256")]
    return name_of(resource), [], rows


def _provenance(resource: Resource, library: Library) -> Described:
    sources = [entity.get("what", {}) for entity in resource.get("entity", ())]
    rows = _text(resource, "recorded", "Recorded")
    rows += [("By", library.names(each.get("who", {}) for each in resource.get("agent", ())))]
    rows += [("Sources", library.names(sources)), ("Resources", library.names(resource.get("target", ())))]
    return "Provenance: " + name_of(resource), [], rows


def _organization(resource: Resource, library: Library) -> Described:
    return name_of(resource), [], _text(resource, "description", "Description")


def _conformance(resource: Resource, library: Library) -> Described:
    rows = _text(resource, "url", "Canonical URL") + _text(resource, "description", "Description")
    for key, label in (("code", "Parameter"), ("type", "Type"), ("expression", "Expression")):
        rows += _text(resource, key, label)
    if "base" in resource:
        rows.append(("On", bullets(resource["base"])))
    if "context" in resource:
        rows.append(("Used on", bullets(each.get("expression", "") for each in resource["context"])))
    for include in resource.get("compose", {}).get("include", []):
        rows.append(("Includes all of", escape(include.get("system", ", ".join(include.get("valueSet", ()))))))
    rows += _text(resource, "copyright", "Copyright")
    for each in resource.get("concept", []):
        definition = f": {each['definition']}" if "definition" in each else ""
        rows.append((each["code"], escape(each.get("display", "") + definition)))
    return name_of(resource), [], rows


DESCRIBE: dict[str, Callable[[Resource, Library], Described]] = {
    "ArtifactAssessment": _artifact_assessment,
    "ClinicalUseDefinition": _whole,
    "CodeSystem": _conformance,
    "Composition": _composition,
    "DocumentReference": _document_reference,
    "Evidence": _whole,
    "Group": _whole,
    "Medication": _whole,
    "MedicationKnowledge": _whole,
    "Organization": _organization,
    "PackagedProductDefinition": _whole,
    "Provenance": _provenance,
    "SearchParameter": _conformance,
    "StructureDefinition": _conformance,
    "Substance": _whole,
    "ValueSet": _conformance,
}


def described(resource: Resource, library: Library) -> Described:
    """Title, paragraphs and the rows that have a value; `resource` is of a type in `DESCRIBE`."""
    title, notes, rows = DESCRIBE[resource["resourceType"]](resource, library)
    return title, notes, [(label, value) for label, value in rows if value]


def describe(resource: Resource, library: Library) -> Described:
    """The same, and the claims of the source at the end."""
    title, notes, rows = described(resource, library)
    claims = ", ".join(claim_ids(resource))
    return title, notes, [*rows, ("Source claims", claims)] if claims else rows
