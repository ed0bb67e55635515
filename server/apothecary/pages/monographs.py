"""The monograph page: all that is held about a drug on one page, each statement with its claims.

https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/clinicalusedefinition.html. What is denied
stands apart from what is stated, and what is absent is said. Other releases lack parts of it: there, and for a part or
an old version of the resource, it is shown as any resource is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from apothecary.authoring.ledger import claim_ids
from apothecary.authoring.pen import STRANGE
from apothecary.authoring.rows import Library, describe, extensions
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.forms import body_in
from apothecary.interactions.search import search
from apothecary.pages.answers import shown
from apothecary.pages.ledgers import Claim, claims_of
from apothecary.pages.resources import resource_page
from apothecary.pages.titles import status_of, title_of, words
from apothecary.pages.view import View

KIND = "MedicationKnowledge"
STATEMENT = "ClinicalUseDefinition"
ASSESSMENT = "ArtifactAssessment"

# A page shows so many statements, and names so many other resources; the rest is a search away, and told.
STATEMENTS, NAMED = 300, 600

# Rows of a statement that the page says otherwise, and those of a drug that have a section of their own.
_ELSEWHERE = frozenset({"Subject", "Type", "Status", "Category", "Questioned by the editors", "Source claims"})
_SECTIONS = frozenset(
    {
        *("Uses (with regulatory status)", "Limitations, warnings and other issues", "Related", "Names"),
        *("Source claims", "Questioned by the editors"),
    }
)
_LIMITATION = "limitation-of-use"
_UNSTATED = "Regulatory status not stated"


@dataclass(slots=True)
class Statement:
    """One thing that is said of the drug: https://hl7.org/fhir/R5/clinicalusedefinition.html"""

    reference: str
    address: str
    title: str
    rows: list[tuple[str, Markup]]
    claims: Sequence[Claim]
    questions: list[tuple[str, str]] = field(default_factory=list)
    """What the editors questioned about it, with where that stands."""


def monograph_page(view: View, resource: JSON) -> bytes:
    """The page of a MedicationKnowledge that was read."""
    plain = view.path == f"{KIND}/{resource.get('id')}" and "_elements" not in dict(view.pairs)
    if view.version is not FhirVersion.R5 or not plain:
        return resource_page(view, resource)
    held = _Held(view, resource)
    uses: dict[str, list[Statement]] = {}
    denied: list[Statement] = []
    others: dict[str, list[Statement]] = {}
    for one in held.statements:
        statement = held.statement(one)
        if _denies(one):
            denied.append(statement)
        elif one.get("type") == "indication":
            uses.setdefault(words(one.get("category")) or _UNSTATED, []).append(statement)
        else:
            others.setdefault(str(one.get("type", "other")), []).append(statement)
    rows = held.rows(resource)
    return shown(
        "monograph.html",
        view,
        title_of(resource),
        status=status_of(resource),
        resource=resource,
        names=[one for one in resource.get("name", []) if isinstance(one, str)],
        codes=[one for one in (resource.get("code") or {}).get("coding", []) if isinstance(one, dict)],
        facts=[one for one in rows if one[0] not in _SECTIONS and not one[0].startswith("Content ")],
        absent=[one for one in rows if one[0].startswith("Content ")],
        products=[held.product(one) for one in held.products],
        uses=uses,
        denied=denied,
        others=others,
        silent=[kind for kind in ("contraindication", "interaction", "undesirable-effect") if kind not in others],
        more=held.more,
        all_statements=view.to(STATEMENT, ("subject", ",".join(held.medications))) if held.medications else None,
        questioned=held.questions(f"{KIND}/{resource.get('id')}"),
        meta=resource.get("meta") or {},
    )


def _denies(one: JSON) -> bool:
    """Whether a statement says what the drug does not do, or is not suited for."""
    codes = [coding.get("code") for part in one.get("category", []) for coding in part.get("coding", [])]
    return _LIMITATION in codes or any(
        "not" in str(coding.get("code", "")).split("-")
        for each in extensions(one, "effect-statement")
        for coding in (each.get("valueCodeableConcept") or {}).get("coding", [])
    )


class _Held:
    """What is held about a drug: what it refers to, what is said of it, what was questioned."""

    def __init__(self, view: View, resource: JSON) -> None:
        self._view = view
        self.medications = [ref for one in resource.get("associatedMedication", []) if (ref := one.get("reference"))]
        referred = self._read(_references(resource))
        said = [one for one in referred if one.get("resourceType") == STATEMENT]
        if self.medications:
            said += self._found(STATEMENT, ("subject", ",".join(self.medications)))
        unique = list({one["id"]: one for one in said}.values())
        self.statements, self.more = unique[:STATEMENTS], max(0, len(unique) - STATEMENTS)
        related = [ref for one in resource.get("relatedMedicationKnowledge", []) for ref in one.get("reference", [])]
        order = {one.get("reference"): place for place, one in enumerate(related)}
        self.products = sorted(
            (one for one in referred if f"{KIND}/{one['id']}" in order and one["resourceType"] == KIND),
            key=lambda one: order[f"{KIND}/{one['id']}"],
        )
        further = self._read({ref for one in self.statements for ref in _references(one)})
        about = [f"{one['resourceType']}/{one['id']}" for one in (resource, *self.statements)]
        assessed = self._assessments(about)
        everything = [resource, *referred, *self.statements, *further, *assessed]
        self.library = Library({f"{one['resourceType']}/{one['id']}": one for one in everything}.values())
        self._questions: dict[str, list[tuple[str, str]]] = {}
        for one in assessed:
            for reference in {ref for ref in _references(one) if ref in about}:
                address = view.to(f"{ASSESSMENT}/{one['id']}")
                self._questions.setdefault(reference, []).append((address, title_of(one)))

    def statement(self, one: JSON) -> Statement:
        """One statement, ready to be shown."""
        reference = f"{STATEMENT}/{one['id']}"
        rows = [row for row in self.rows(one) if row[0] not in _ELSEWHERE]
        claims = claims_of(self._view.service, claim_ids(one))
        return Statement(reference, self._view.to(reference), title_of(one), rows, claims, self.questions(reference))

    def questions(self, reference: str) -> list[tuple[str, str]]:
        """What the editors questioned about a resource: address and title."""
        return self._questions.get(reference, [])

    def rows(self, one: JSON) -> list[tuple[str, Markup]]:
        """What a resource says, label by label; what has another form than the specification's is left to its page."""
        try:
            # The words of `describe` are escaped, and its lists are HTML.
            return [(label, Markup(value)) for label, value in describe(one, self.library)[2]]  # noqa: S704
        except STRANGE:
            return []

    def product(self, one: JSON) -> dict[str, Any]:
        """A row of the table of products."""
        definitional = one.get("definitional") or {}
        speaker = self.library.speaker
        strengths = [
            speaker.say(part[key], kind, "")
            for part in definitional.get("ingredient", [])
            for key, kind in (("strengthRatio", "Ratio"), ("strengthQuantity", "Quantity"))
            if key in part
        ]
        looks = [
            words(value)
            for part in definitional.get("drugCharacteristic", [])
            for name, value in part.items()
            if name.startswith("value")
        ]
        return {
            "address": self._view.to(f"{KIND}/{one['id']}"),
            "title": title_of(one),
            "strength": "; ".join(strengths),
            "form": words(definitional.get("doseForm")),
            "route": "; ".join(filter(None, map(words, definitional.get("intendedRoute", [])))),
            "looks": "; ".join(filter(None, looks)),
            "status": status_of(one),
        }

    def _assessments(self, about: list[str]) -> list[JSON]:
        registry = self._view.service.registry(FhirVersion.R5)
        if not registry.serves(ASSESSMENT) or registry.get(ASSESSMENT, "artifact") is None:
            return []
        return [one for part in _parts(about, 50) for one in self._found(ASSESSMENT, ("artifact", ",".join(part)))]

    def _read(self, references: Iterable[str]) -> list[JSON]:
        registry = self._view.service.registry(FhirVersion.R5)
        keys = [
            (kind, identity)
            for ref in references
            for kind, _, identity in [ref.partition("/")]
            if registry.serves(kind)
        ]
        stored = self._view.service.reader.read_many(keys[:NAMED])
        return [parse(body_in(one, FhirVersion.R5)) for one in stored]

    def _found(self, kind: str, *pairs: tuple[str, str]) -> list[JSON]:
        limit = ("_count", str(STATEMENTS + 1))
        answer = search(self._view.service, FhirVersion.R5, self._view.base, kind, [*pairs, limit], strict=False)
        entries = parse(answer).get("entry", [])
        return [one["resource"] for one in entries if (one.get("search") or {}).get("mode") == "match"]


def _references(node: Any) -> list[str]:
    """The relative references in a resource, each once, in order."""
    return list(dict.fromkeys(_walk(node)))


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        text = node.get("reference")
        if isinstance(text, str) and text.count("/") == 1 and not text.startswith("#"):
            yield text
        for name, inner in node.items():
            if name != "text":
                yield from _walk(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _walk(inner)


def _parts(listed: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
