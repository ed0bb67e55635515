"""The sections of a label that state something of the drug, as ClinicalUseDefinitions, one for each:
https://hl7.org/fhir/R5/clinicalusedefinition.html

Prose is not taken apart: which diseases, drugs or effects it names is not coded here, for a code that nobody gave would
be invented. The text stands as narrative, that of a warning as its description, too, and a section that is no more than
a short phrase has it as the text of the concept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.labels.record import Label, Section
from apothecary.importers.labels.sections import BOXED, HEADINGS, LOINC, TITLED, Kind, kind_of
from apothecary.importers.labels.xhtml import div, element, markdown, plain, without_links_inside
from apothecary.importers.report import Report

# A phrase: one line of so many characters at most.
_PHRASE = 200
# How labels say that there is nothing to state.
_NONE = re.compile(
    r"(?:- )?(?:none(?: known| reported| identified)?|n/?a|not applicable|"
    r"(?:there are )?no(?: known)? (?:contraindications|interactions|drug interactions|warnings|precautions))\.?",
    re.IGNORECASE,
)
# https://hl7.org/fhir/R5/datatypes.html#string: a string has a million characters (1024 * 1024) at most.
LONGEST = 1_000_000

_STATUS: JSON = {
    "coding": [{"system": "http://hl7.org/fhir/publication-status", "code": "active", "display": "Active"}]
}


class Statement(NamedTuple):
    """A ClinicalUseDefinition, its kind, the LOINC code of its section, and its phrase, if it is no more than that."""

    resource: JSON
    kind: Kind
    phrase: str


def section_concept(section: Section) -> JSON:
    """The code of a section, as the label gives it."""
    coding = {"system": LOINC, "code": section.code}
    return {"coding": [{**coding, **({"display": section.display} if section.display else {})}]}


def statements(label: Label, report: Report) -> list[Statement]:
    """One for each section that states something; the section refers to it from then on."""
    found: list[Statement] = []
    counts: Counter[str] = Counter()
    for section, kind in _stating(label.sections):
        content = whole(section, parted=kind == "warning")
        said = plain(content)
        if not said and not (section.title and section.code in TITLED):
            continue
        if _NONE.fullmatch(_without_title(said, section.code)):
            reason = f"says {said!r}: there is no {kind} to state, and only the document has the section"
            report.approximated(section.place, reason)
            continue
        counts[section.code] += 1
        number = f"-{counts[section.code]}" if counts[section.code] > 1 else ""
        made = _statement(label, section, kind, f"{label.key}-{section.code}{number}", content, report)
        section.entries.append(f"ClinicalUseDefinition/{made.resource['id']}")
        found.append(made)
    return found


def _without_title(said: str, code: str) -> str:
    """A text without the heading that it may begin with: `4 CONTRAINDICATIONS None`."""
    title = HEADINGS[code].title
    heading = rf"\A(?:\d+(?:\.\d+)*\s+)?{re.escape(title)}\s*[:.-]?\s*(?=\S)"
    return re.sub(heading, "", said, count=1, flags=re.IGNORECASE)


def _stating(sections: list[Section]) -> Iterator[tuple[Section, Kind]]:
    """The sections that state something. What stands in one that is no warning, such as pregnancy among the
    contraindications, is a part of it and nothing less; a boxed warning is one wherever it stands.
    """
    for section in sections:
        kind = kind_of(section.code)
        if kind:
            yield section, kind
        inner = _stating(section.sections)
        yield from inner if kind in (None, "warning") else (one for one in inner if one[0].code == BOXED)


def whole(section: Section, *, parted: bool = False) -> list[Node | str]:
    """The text of a section and of its parts; with `parted`, without those that are statements of their own."""
    found = [*section.body]
    for part in section.sections:
        if parted and kind_of(part.code):
            continue
        # A part may be a title alone: the title is what it says.
        if part.title:
            found.append(element("p", [element("b", [part.title])]))
        found += whole(part, parted=parted)
    return without_links_inside(found)


def _statement(
    label: Label, section: Section, kind: Kind, identity: str, content: list[Node | str], report: Report
) -> Statement:
    phrase = _phrase(content) or _phrase(section.highlight)
    # A title says much in labels of non-prescription drugs: "Ask a doctor before use if the child has".
    title = section.title or section.display
    content = [*([element("p", [element("b", [title])])] if title else []), *content]
    resource: JSON = {
        "resourceType": "ClinicalUseDefinition",
        "id": identity,
        "language": label.language,
        "text": {"status": "additional", "div": div(content, label.language)},
        "type": kind,
        "category": [section_concept(section)],
    }
    if label.products:
        resource["subject"] = [{"reference": f"Medication/{one}"} for one in label.products]
    resource["status"] = _STATUS
    if kind == "warning":
        text = markdown(content)
        warning: JSON = {"code": section_concept(section)}
        if len(text) <= LONGEST:
            warning = {"description": text, **warning}
        else:
            report.approximated(section.place, f"a warning of {len(text)} characters stands as narrative alone")
        resource["warning"] = warning
    elif phrase and kind in _PHRASED:
        element_name, part = _PHRASED[kind]
        resource[element_name] = {part: {"concept": {"text": phrase}}}
    return Statement(resource, kind, phrase)


# A phrase on interactions names what interacts as often as what comes of it, and one on undesirable effects may only
# say whom to tell of them: no element is sure to hold it.
_PHRASED: dict[str, tuple[str, str]] = {
    "indication": ("indication", "diseaseSymptomProcedure"),
    "contraindication": ("contraindication", "diseaseSymptomProcedure"),
}


def _phrase(content: list[Node | str]) -> str:
    said = plain(content)
    return "" if "\n" in said or len(said) > _PHRASE else said.removeprefix("- ")
