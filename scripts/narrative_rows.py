"""What the narrative of each resource type shows, as a title, paragraphs and labelled rows of XHTML.

https://hl7.org/fhir/R5/narrative.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

Resource = dict[str, Any]
Row = tuple[str, str]
Described = tuple[str, list[str], list[Row]]

EXTENSION = "https://example.org/fhir/StructureDefinition/"
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
}
RELATIONS = {
    "source-is-narrower-than-target": "broader than the text",
    "source-is-broader-than-target": "narrower than the text",
    "related-to": "approximate",
}


class Library:
    """The resources by reference, so that a narrative can call a target by its name."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_reference = {f"{each['resourceType']}/{each['id']}": each for each in resources}
        self._assessments: dict[str, list[Resource]] = {}
        for each in self._by_reference.values():
            for target in assessed(each) if each["resourceType"] == "ArtifactAssessment" else ():
                self._assessments.setdefault(target.get("reference", ""), []).append(each)

    def get(self, reference: Resource) -> Resource | None:
        """The target itself, None where the library does not hold it."""
        return self._by_reference.get(reference.get("reference", ""))

    def name(self, reference: Resource) -> str:
        """What a reader calls the target: its own name, else the display, else the reference itself."""
        target = self.get(reference)
        if target is None:
            return str(reference.get("display") or reference.get("reference", ""))
        return name_of(target)

    def descriptions(self, references: Iterable[Resource]) -> list[str]:
        """The descriptions of the targets that have one."""
        targets = [self._by_reference.get(each.get("reference", ""), {}) for each in references]
        return [str(each["description"]) for each in targets if "description" in each]

    def discrepancies(self, resource: Resource) -> str:
        """The titles of the assessments that concern `resource`, as a list."""
        found = self._assessments.get(f"{resource['resourceType']}/{resource.get('id')}", [])
        return bullets(name_of(each) for each in found)

    def names(self, references: Iterable[Resource]) -> str:
        """The names of several targets as a list."""
        return bullets(self.name(reference) for reference in references)


def assessed(assessment: Resource) -> list[Resource]:
    """What an ArtifactAssessment concerns: the references to its artifact and to the ones it comments on beside it."""
    related = [each for part in assessment["content"] for each in part.get("relatedArtifact", [])]
    return [assessment["artifactReference"], *(each["resourceReference"] for each in related)]


def name_of(resource: Resource) -> str:
    """A short name for any resource type of the content."""
    kind = resource["resourceType"]
    if kind == "ClinicalUseDefinition":
        if "indication" in resource:
            return concept_text(resource["indication"]["diseaseSymptomProcedure"]["concept"])
        return concept_text(resource["warning"]["code"])
    if kind == "DocumentReference":
        return str(resource["content"][0]["attachment"]["title"])
    if kind == "Provenance":
        return concept_text(resource["activity"])
    for key in ("title", "name"):
        if isinstance(resource.get(key), str):
            return str(resource[key])
    code = resource.get("code", {})
    return concept_text(code.get("concept", code)) if isinstance(code, dict) and code else str(resource["id"])


def bullets(items: Iterable[str]) -> str:
    """The items, escaped, as an XHTML list; a single item stands alone, no item is the empty text."""
    texts = [escape(item) for item in items]
    if len(texts) < 2:
        return "".join(texts)
    return "<ul>" + "".join(f"<li>{text}</li>" for text in texts) + "</ul>"


def extensions(element: Resource, name: str) -> list[Resource]:
    """The extensions of this product called `name` on `element`."""
    return [each for each in element.get("extension", []) if each["url"] == EXTENSION + name]


def qualifications(element: Resource) -> list[str]:
    """The texts of the `qualification` extensions of `element`; those that are the editors' own say so."""
    found = []
    for each in extensions(element, "qualification"):
        note = " (editors' remark)" if extensions(each, "assertion-basis") else ""
        found += [part["valueMarkdown"] + note for part in each["extension"] if part["url"] == "text"]
    return found


def claim_ids(node: Any) -> list[str]:
    """Every claim id in `node`, at any depth, in numerical order."""
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("url") == EXTENSION + "source-claim" and "valueString" in part:
                found.add(part["valueString"])
            for child in part.values():
                walk(child)
        elif isinstance(part, list):
            for child in part:
                walk(child)

    walk(node)
    return sorted(found, key=lambda claim: int(claim[1:]))


def concept_text(concept: Resource) -> str:
    """The text of a CodeableConcept, else its first display or code."""
    if "text" in concept:
        return str(concept["text"])
    first = concept["coding"][0]
    return str(first.get("display", first["code"]))


def concept_with_codes(concept: Resource) -> str:
    """The text of a CodeableConcept and, in brackets, its codes."""
    codes = "; ".join(map(coding_text, concept.get("coding", [])))
    return concept_text(concept) + (f" [{codes}]" if codes else "")


def sentence(text: str) -> str:
    """`text` with a capital first letter and the others as they are."""
    return text[:1].upper() + text[1:]


def coding_text(coding: Resource) -> str:
    """A coding as `ICD-10-CM G40 "Epilepsy and recurrent seizures" (broader than the text)`."""
    text = f"{SYSTEMS.get(coding['system'], coding['system'])} {coding['code']}"
    if "display" in coding:
        text += f' "{coding["display"]}"'
    for relation in extensions(coding, "code-relationship"):
        text += f" ({RELATIONS[relation['valueCode']]})"
    return text


def quantity(value: Resource) -> str:
    """A quantity as `0.5 mg`."""
    return f"{value['value']} {value['unit']}"


def strength(ingredient: Resource) -> str:
    """A strength ratio as `clonazepam 0.5 mg per 1 tablet`, or the name alone."""
    name = concept_text(ingredient["item"]["concept"])
    ratio = ingredient.get("strengthRatio")
    return f"{name} {quantity(ratio['numerator'])} per {quantity(ratio['denominator'])}" if ratio else name


def timing(value: Resource) -> str:
    """A Range as `within 1 h` or `6 to 12 h`."""
    if "low" in value:
        return f"{value['low']['value']} to {quantity(value['high'])}"
    return f"within {quantity(value['high'])}"


def _codes(concept: Resource) -> list[Row]:
    return [("Codes (from terminologies)", bullets(map(coding_text, concept["coding"])))] if "coding" in concept else []


def _text(element: Resource, key: str, label: str) -> list[Row]:
    return [(label, escape(str(element[key])))] if key in element else []


def _medication_knowledge(resource: Resource, library: Library) -> Described:
    rows: list[Row] = [("Names", bullets(resource.get("name", []))), *_codes(resource.get("code", {}))]
    rows.append(("Kind", bullets(map(concept_text, resource.get("productType", [])))))
    rows += [
        (sentence(concept_text(group["type"])), bullets(map(concept_with_codes, group["classification"])))
        for group in resource.get("medicineClassification", [])
    ]
    definitional = resource.get("definitional", {})
    if "doseForm" in definitional:
        rows.append(("Dose form", escape(concept_with_codes(definitional["doseForm"]))))
    if "intendedRoute" in definitional:
        rows.append(("Route", bullets(map(concept_with_codes, definitional["intendedRoute"]))))
    rows.append(("Ingredient", bullets(map(strength, definitional.get("ingredient", [])))))
    rows += [
        (concept_text(each["type"]), escape(each.get("valueString", "unknown: the source does not say")))
        for each in definitional.get("drugCharacteristic", [])
    ]
    for part in (part for effect in extensions(resource, "effect-timing") for part in effect["extension"]):
        label = {"onset": "Onset of effect", "duration": "Duration of effect"}[part["url"]]
        rows.append((label, escape(timing(part["valueRange"]))))
    if "indicationGuideline" in resource:
        rows.append(("Uses (with regulatory status)", bullets(map(_guideline, resource["indicationGuideline"]))))
    if "clinicalUseIssue" in resource:
        rows.append(("Limitations of use", library.names(resource["clinicalUseIssue"])))
    schedules = [schedule for regulatory in resource.get("regulatory", []) for schedule in regulatory["schedule"]]
    if schedules:
        rows.append(("Controlled substance schedule", bullets(map(concept_text, schedules))))
    rows += [
        (sentence(concept_text(related["type"])), library.names(related["reference"]))
        for related in resource.get("relatedMedicationKnowledge", [])
    ]
    by_coverage: dict[str, list[str]] = {}
    for each in extensions(resource, "content-coverage"):
        parts = {part["url"]: part for part in each["extension"]}
        note = f" ({parts['note']['valueString']})" if "note" in parts else ""
        section = concept_text(parts["section"]["valueCodeableConcept"]) + note
        by_coverage.setdefault(parts["coverage"]["valueCode"], []).append(section)
    for coverage, sections in by_coverage.items():
        rows.append((f"Content {coverage.replace('-', ' ')}", bullets(sections)))
    monographs = resource.get("monograph", [])
    links = [link["valueReference"] for each in monographs for link in extensions(each, "see-also")]
    rows.append(("Monograph", library.names(links)))
    sources = [each["source"] for each in monographs if "source" in each]
    return name_of(resource), library.descriptions(sources), rows


def _guideline(guideline: Resource) -> str:
    text = "; ".join(concept_text(use["concept"]) for use in guideline["indication"])
    for dosing in guideline.get("dosingGuideline", []):
        line = concept_text(dosing["administrationTreatment"]) if "administrationTreatment" in dosing else ""
        if line not in text:
            text += f"; line of therapy: {line}"
        for each in dosing.get("patientCharacteristic", []):
            text += f"; {concept_text(each['type'])}: {concept_text(each['valueCodeableConcept'])}"
        for dosage in dosing.get("dosage", []):
            text += "; dose: " + "; ".join(each["text"] for each in dosage["dosage"])
    return text


def _clinical_use_definition(resource: Resource, library: Library) -> Described:
    rows: list[Row] = [("Subject", library.names(resource.get("subject", [])))]
    rows.append(("Category", bullets(map(concept_text, resource.get("category", [])))))
    rows += [
        ("Effect", escape(_effect(each["valueCodeableConcept"]))) for each in extensions(resource, "effect-statement")
    ]
    indication, warning = resource.get("indication"), resource.get("warning")
    if indication:
        for key, label in (("diseaseStatus", "Course"), ("intendedEffect", "Intended effect")):
            if key in indication:
                rows.append((label, escape(concept_text(indication[key]["concept"]))))
        comorbidities = [each["concept"] for each in indication.get("comorbidity", [])]
        rows += [("In the presence of", escape(concept_with_codes(each))) for each in comorbidities]
        rows += _text(indication, "durationString", "Duration")
        for therapy in indication.get("otherTherapy", []):
            remark = "".join(f" ({each})" for each in qualifications(therapy))
            drug = concept_with_codes(therapy["treatment"]["concept"])
            rows.append((concept_text(therapy["relationshipType"]), escape(drug + remark)))
        rows += _codes(indication["diseaseSymptomProcedure"]["concept"])
    if warning:
        rows += _text(warning, "description", "Limitation")
        for each in extensions(warning, "limitation-condition"):
            rows.append(("Condition", escape(concept_text(each["valueCodeableConcept"]))))
            rows += _codes(each["valueCodeableConcept"])
        for each in extensions(warning, "limitation-intended-effect"):
            rows.append(("Intended effect that is denied", escape(concept_text(each["valueCodeableConcept"]))))
    if "population" in resource:
        rows.append(("Population", library.names(resource["population"])))
    rows += [("Remark", escape(each)) for each in qualifications(resource)]
    for name, label in (("related-evidence", "Evidence"), ("see-also", "See also")):
        if targets := [each["valueReference"] for each in extensions(resource, name)]:
            rows.append((label, library.names(targets)))
    rows.append(("Discrepancies that the editors noted", library.discrepancies(resource)))
    prefix = "Use: " if indication else "Limitation of use: "
    return prefix + name_of(resource), [], rows


def _effect(statement: Resource) -> str:
    """A statement of effect: the code by its display, and the words where they say more."""
    return ": ".join([*(coding["display"] for coding in statement["coding"]), *filter(None, [statement.get("text")])])


def _medication(resource: Resource, library: Library) -> Described:
    rows = _codes(resource.get("code", {}))
    if "doseForm" in resource:
        rows.append(("Dose form", escape(concept_text(resource["doseForm"]))))
    if "ingredient" in resource:
        rows.append(("Ingredient", bullets(map(strength, resource["ingredient"]))))
    if "definition" in resource:
        rows.append(("Knowledge", library.names([resource["definition"]])))
    return name_of(resource), [], rows


def _substance(resource: Resource, library: Library) -> Described:
    return name_of(resource), [], _codes(resource["code"]["concept"])


def _group(resource: Resource, library: Library) -> Described:
    rows = _text(resource, "description", "Description")
    for each in resource.get("characteristic", []):
        label = sentence(concept_text(each["code"]))
        rows.append((label, escape(concept_text(each["valueCodeableConcept"]))))
        rows += _codes(each["valueCodeableConcept"])
    return name_of(resource), [], rows


def _evidence(resource: Resource, library: Library) -> Described:
    rows = _text(resource, "assertion", "Statement")
    for each in resource["variableDefinition"]:
        rows.append((sentence(concept_text(each["variableRole"])), escape(each["description"])))
    if "studyDesign" in resource:
        rows.append(("Study design", bullets(map(concept_text, resource["studyDesign"]))))
    rows += [("Note", escape(note["text"])) for note in resource.get("note", [])]
    rows += [("Certainty", escape(each["description"])) for each in resource["certainty"]]
    return name_of(resource), [], rows


def _artifact_assessment(resource: Resource, library: Library) -> Described:
    rows: list[Row] = []
    for part in resource["content"]:
        label = {"comment": "What was found", "response": "How it is shown"}[part["informationType"]]
        rows.append((label, escape(part["summary"])))
    rows.append(("Concerns", library.names(assessed(resource))))
    rows += _text(resource, "workflowStatus", "Workflow status") + _text(resource, "disposition", "Disposition")
    return name_of(resource), [], rows


def _composition(resource: Resource, library: Library) -> Described:
    supplied = [section["title"] for section in resource["section"] if "emptyReason" not in section]
    empty = [section["title"] for section in resource["section"] if "emptyReason" in section]
    rows = [("Status", escape(resource["status"])), ("Sections with content", bullets(supplied))]
    rows.append(("Sections that the source does not supply", bullets(empty)))
    return name_of(resource), [note["text"] for note in resource["note"]], rows


def _document_reference(resource: Resource, library: Library) -> Described:
    attachment = resource["content"][0]["attachment"]
    rows = _text(resource, "description", "Description") + _text(attachment, "contentType", "Content type")
    rows += [("Size", f"{attachment['size']} bytes"), ("SHA-1 (base64)", escape(attachment["hash"]))]
    rows += [("SHA-256", escape(each["valueString"])) for each in extensions(attachment, "content-sha256")]
    return name_of(resource), [], rows


def _provenance(resource: Resource, library: Library) -> Described:
    sources = [entity["what"] for entity in resource["entity"]]
    rows = [("Recorded", escape(resource["recorded"])), ("By", library.names(a["who"] for a in resource["agent"]))]
    rows += [("Sources", library.names(sources)), ("Resources", library.names(resource["target"]))]
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
        rows.append(("Used on", bullets(each["expression"] for each in resource["context"])))
    for include in resource.get("compose", {}).get("include", []):
        rows.append(("Includes all of", escape(include["system"])))
    rows += _text(resource, "copyright", "Copyright")
    for each in resource.get("concept", []):
        definition = f": {each['definition']}" if "definition" in each else ""
        rows.append((each["code"], escape(each.get("display", "") + definition)))
    return name_of(resource), [], rows


DESCRIBE: dict[str, Callable[[Resource, Library], Described]] = {
    "ArtifactAssessment": _artifact_assessment,
    "ClinicalUseDefinition": _clinical_use_definition,
    "CodeSystem": _conformance,
    "Composition": _composition,
    "DocumentReference": _document_reference,
    "Evidence": _evidence,
    "Group": _group,
    "Medication": _medication,
    "MedicationKnowledge": _medication_knowledge,
    "Organization": _organization,
    "Provenance": _provenance,
    "SearchParameter": _conformance,
    "StructureDefinition": _conformance,
    "Substance": _substance,
    "ValueSet": _conformance,
}


def describe(resource: Resource, library: Library) -> Described:
    """Title, paragraphs and the rows that have a value; `resource` is of a type in `DESCRIBE`."""
    title, notes, rows = DESCRIBE[resource["resourceType"]](resource, library)
    rows = [*rows, ("Source claims", ", ".join(claim_ids(resource)))]
    return title, notes, [(label, value) for label, value in rows if value]
