"""A statement about a drug, read from its R5 form: https://hl7.org/fhir/R5/clinicalusedefinition.html"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from apothecary.fhir.json import JSON
from apothecary.fhir.statements import SEVERITY, SEVERITY_EXTENSION, SOURCE_EXTENSION
from apothecary.safety.concepts import (
    EXTENSION,
    NOTHING,
    Concept,
    Keys,
    concept,
    either,
    extensions,
    items,
    pointed,
    texted,
)
from apothecary.safety.found import Severity, Source

ROUTE = EXTENSION + "statement-route"
_CONDITION = EXTENSION + "limitation-condition"
_EFFECT = EXTENSION + "effect-statement"
_EFFECTS = "https://example.org/fhir/CodeSystem/effect-statement"
_CLAIM = EXTENSION + "source-claim"
# https://hl7.org/fhir/R5/valueset-publication-status.html: what is no more in force, or not yet.
_SILENT = frozenset({"retired", "draft", "inactive", "entered-in-error", "superseded", "unknown"})
NEGATIVE = frozenset({"not-effective", "not-suitable"})


class Therapy(Struct, frozen=True, gc=False):
    """Another therapy, and how it relates to the use.

    https://hl7.org/fhir/R5/valueset-therapy-relationship-type.html
    """

    relation: str
    label: str
    treatment: Concept


class Statement(Struct, frozen=True, gc=False):
    """A ClinicalUseDefinition. Everything that it names stands in it as the source has it."""

    id: str
    type: str
    silent: str
    """The status for which it does not speak; empty where it does."""
    subjects: tuple[Concept, ...]
    populations: tuple[str, ...]
    condition: Concept
    course: str
    comorbidities: tuple[Concept, ...]
    therapies: tuple[Therapy, ...]
    interactants: tuple[Concept, ...]
    routes: tuple[Concept, ...]
    """Of the subject; those of an interactant stand with it."""
    effect: str
    incidence: str
    management: tuple[str, ...]
    text: str
    limitation: bool
    """Whether it is one of use: the drug does not work, or does not suit."""
    severity: Severity | None
    severity_text: str
    source: Source | None
    applicability: bool
    """Whether it holds an expression that says when it applies; that is not evaluated."""
    categories: tuple[str, ...]

    @property
    def reference(self) -> str:
        """`ClinicalUseDefinition/id`."""
        return f"ClinicalUseDefinition/{self.id}"

    @property
    def summary(self) -> str:
        """What it says, as short as may be."""
        parts = {
            "interaction": [self.effect, self.text],
            "contraindication": [f"contraindicated in {self.condition.label}" if self.condition else "", self.text],
        }.get(self.type, [self.text, self.condition.label, self.effect])
        return next(filter(None, parts), f"{self.type}, stated as text only")


def statement(resource: JSON, keys: Keys) -> Statement:
    """A statement from the R5 form of its resource."""
    kind = texted(resource.get("type"))
    # Most statements are interactions, and have nothing of what the others have.
    pair = kind == "interaction"
    part = resource.get({"undesirable-effect": "undesirableEffect"}.get(kind, kind))
    part = part if isinstance(part, dict) else {}
    severity, graded = _severity(resource, part)
    limitation = None if pair else next((concept(one, keys) for one in extensions(part, _CONDITION)), None)
    effects = {each.get("code") for one in extensions(resource, _EFFECT) for each in items(one.get("coding"))}
    condition = NOTHING if pair else limitation or either(part, "diseaseSymptomProcedure", keys)
    warned = concept(part.get("code"), keys) if kind == "warning" else NOTHING
    undesirable = "" if pair else either(part, "symptomConditionEffect", keys).label
    described = texted(part.get("description"))
    return Statement(
        id=str(resource.get("id", "")),
        type=kind,
        silent=_silent(resource.get("status")),
        subjects=tuple(_inner(pointed(one), resource, keys) for one in items(resource.get("subject"))),
        populations=tuple(filter(None, (pointed(one).reference for one in items(resource.get("population"))))),
        condition=condition,
        course="" if pair else either(part, "diseaseStatus", keys).label,
        comorbidities=tuple(found for one in items(part.get("comorbidity")) if (found := _reference(one, keys))),
        therapies=tuple(_therapies(part, keys)),
        interactants=tuple(
            _inner(found, resource, keys) for one in items(part.get("interactant")) if (found := _routed(one, keys))
        ),
        routes=_routes(resource, keys),
        effect=either(part, "effect", keys).label or undesirable,
        incidence=concept(part.get("incidence"), keys).label,
        management=tuple(said for one in items(part.get("management")) if (said := concept(one, keys).label)),
        text=described or warned.label,
        limitation=limitation is not None or bool(effects & NEGATIVE),
        severity=severity,
        severity_text=graded,
        source=_source(resource),
        applicability=isinstance(part.get("applicability"), dict),
        categories=tuple(
            texted(each.get("code")) for one in items(resource.get("category")) for each in items(one.get("coding"))
        ),
    )


def _routes(node: JSON, keys: Keys) -> tuple[Concept, ...]:
    return tuple(concept(one, keys) for one in extensions(node, ROUTE))


def _routed(interactant: JSON, keys: Keys) -> Concept:
    found, routes = either(interactant, "item", keys), _routes(interactant, keys)
    return replace(found, routes=routes) if routes else found


def _inner(named: Concept, resource: JSON, keys: Keys) -> Concept:
    """What a reference into the statement itself names: by the codes of what is contained, else in words."""
    if not named.reference.startswith("#"):
        return named
    held = (one for one in items(resource.get("contained")) if f"#{one.get('id')}" == named.reference)
    inside = either(next(held, None), "code", keys)
    return replace(inside, text=named.text or inside.text or "a resource in it", reference="")


def _reference(value: JSON, keys: Keys) -> Concept:
    return either({"item": value}, "item", keys)


def _silent(status: Any) -> str:
    codes = [texted(one.get("code")) for one in items(status.get("coding") if isinstance(status, dict) else None)]
    return next((one for one in codes if one in _SILENT), "")


def _therapies(part: JSON, keys: Keys) -> Iterator[Therapy]:
    for one in items(part.get("otherTherapy")):
        relation = one.get("relationshipType") or one.get("therapyRelationshipType")
        said = concept(relation, keys)
        treatment = either(one, "treatment", keys) or either(one, "therapy", keys)
        yield Therapy(next((each.coding.code for each in said.codes), ""), said.label, treatment)


def _severity(*nodes: Mapping[str, Any]) -> tuple[Severity | None, str]:
    """Only what the source says: a word that nobody mapped is no code."""
    for node in nodes:
        for one in extensions(node, SEVERITY_EXTENSION):
            if not isinstance(one, dict):
                continue
            codes = [each.get("code") for each in items(one.get("coding")) if each.get("system") == SEVERITY]
            code: Severity | None = next((each for each in codes if each in get_args(Severity)), None)
            return code, texted(one.get("text"))
    return None, ""


def _source(resource: JSON) -> Source | None:
    for one in extensions(resource, SOURCE_EXTENSION):
        if isinstance(one, dict):
            document = one.get("document")
            url = texted(document.get("url")) if isinstance(document, dict) else ""
            url = url or texted(one.get("resource"))
            label = texted(one.get("citation")) or texted(one.get("display")) or texted(one.get("label")) or url
            if label:
                return Source(label, url or None)
    claims = [text for text in extensions(resource, _CLAIM) if isinstance(text, str)]
    return Source(f"source claim {', '.join(claims)}") if claims else None
