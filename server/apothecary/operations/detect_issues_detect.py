"""What the content states against a list of drugs, and what it cannot say.

https://hl7.org/fhir/R5/clinicalusedefinition.html. This is a look-up: it gives no advice, and silence is told as
silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from apothecary.errors import TooCostly
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant
from apothecary.interactions.service import Service
from apothecary.operations.detect_issues_drugs import identified
from apothecary.operations.detect_issues_lookup import TYPES, Lookup
from apothecary.operations.detect_issues_statements import TYPE, Statements
from apothecary.safety.asked import Asked, AskedConcept, AskedDrug, Remark, once
from apothecary.safety.concepts import Key
from apothecary.safety.drugs import Drug
from apothecary.safety.found import Found
from apothecary.safety.pairs import allergies, duplicates
from apothecary.safety.population import KnownConcept, Patient, Population, population
from apothecary.safety.rules import Judge
from apothecary.safety.statements import Statement

# Conditions and allergies of one list: a record has no more that count.
_MOST_CONCEPTS = 1000


def detect(service: Service, version: FhirVersion, base: str, asked: Asked) -> Found:
    """Everything that is stated against the drugs of a list. `base` is the address that the request came to: a
    reference to a resource there is one to this server. Raises TooCostly for more drugs, conditions or statements than
    are looked at.
    """
    _bounded(service, asked)
    # Without any statement that he may see, silence would be all that he is told.
    service.permit((TYPE,), "s")
    lookup = Lookup(service, version, base)
    drugs = identified(lookup, asked.drugs)
    allergens = identified(lookup, [AskedDrug(one.source, one.codes, name=one.text) for one in asked.allergies])
    search = Statements(lookup, drugs)
    statements = search.all()
    known = [
        *(
            _known(lookup, AskedConcept(one.source, one.reasons), place)
            for place, one in enumerate(asked.drugs)
            if one.reasons
        ),
        *(_known(lookup, one) for one in asked.conditions),
    ]
    patient = Patient(known, asked.age, asked.sex, asked.pregnant, asked.lactating)
    populations = _populations(lookup, statements)
    judge = Judge(drugs, patient, populations, lookup.members, lookup.keys, lookup.above_keys)
    judge.judge(statements, search.linked)
    for one in chain(duplicates(drugs), allergies(drugs, allergens)):
        judge.add(one)
    found = judge.found
    found.issues.sort(key=lambda one: ([each.number for each in one.drugs], one.kind, one.statement, one.about))
    found.not_understood = once([*asked.not_understood, *_not_understood(drugs, allergens, asked)])
    found.not_looked_at = once(
        [
            *asked.not_looked_at,
            *_hidden(service),
            *_silences(search, drugs),
            *_of_drugs(drugs),
            *_of_conditions(lookup, patient, statements),
            *_of_sets(lookup),
            *judge.unasked(),
            *found.not_looked_at,
        ]
    )
    found.release = _release(lookup)
    return found


def _bounded(service: Service, asked: Asked) -> None:
    most = service.settings.detect_issues_limit
    if len(asked.drugs) > most:
        raise TooCostly(
            f"the list has {len(asked.drugs)} drugs, at most {most} are looked at together",
            expression="medication",
            remedy="Leave out what is not taken any more.",
        )
    for name, listed in (("condition", asked.conditions), ("allergy", asked.allergies)):
        if len(listed) > _MOST_CONCEPTS:
            raise TooCostly(f"{name}: at most {_MOST_CONCEPTS} are looked at", expression=name)


def _known(lookup: Lookup, asked: AskedConcept, of: int | None = None) -> KnownConcept:
    """A condition with all that stands above it; `of` is the drug that is prescribed for it."""
    nodes: dict[Key, str] = {}
    for code in asked.codes:
        for key in lookup.keys(code.system, code.code):
            nodes.setdefault(key, f"{asked.label} is coded {code}")
        for one in lookup.above(code)[0]:
            for key in lookup.keys(one.system, one.code):
                nodes.setdefault(key, f"{asked.label} ({code}) is below {one.display or one.code} ({one})")
    return KnownConcept(asked, nodes, of)


def _populations(lookup: Lookup, statements: Iterable[Statement]) -> Mapping[str, Population]:
    wanted = sorted({each for one in statements for each in one.populations})
    return {name: population(lookup.r5(one), name) for name, one in lookup.read(wanted).items()}


# -- what the answer cannot say


def _not_understood(drugs: Sequence[Drug], allergens: Sequence[Drug], asked: Asked) -> Iterable[Remark]:
    for drug in drugs:
        if not drug.understood:
            codes = ", ".join(str(one) for one in drug.asked.codes) or drug.asked.reference or "it has no code"
            yield Remark(
                f"{drug.label}: nothing here says which drug this is ({codes}): only its own codes were compared",
                drug.asked.source,
            )
    for one in allergens:
        if not one.understood:
            yield Remark(
                f"the allergy to {one.label}: nothing here says which drug or substance this is: only its own codes "
                "were compared",
                one.asked.source,
            )
    for condition in asked.conditions:
        if not condition.codes:
            yield Remark(
                f"the condition {condition.label} has no code with a system: it was not compared", condition.source
            )


def _hidden(service: Service) -> Iterable[Remark]:
    """That whoever asks may not see all that is stated: what he is not told of may be here."""
    text = service.narrowed((TYPE, *TYPES, "Group", "CodeSystem", "ValueSet"))
    if text is not None:
        yield Remark(text)


def _silences(search: Statements, drugs: Sequence[Drug]) -> Iterable[Remark]:
    """Drugs of which no interaction is stated: that is silence, and no statement."""
    if not search.served:
        yield Remark(f"this server holds no {TYPE}: nothing is stated here of any drug")
        return
    if not search.pairs_indexed:
        yield Remark("interactions that have no subject: no search parameter `interactant` finds them here")
    for drug in drugs:
        if drug.understood and not search.naming(drug):
            text = f"{drug.label}: no interaction is stated here of it. This does not mean that there is none"
            yield Remark(text, drug.asked.source)


def _of_drugs(drugs: Sequence[Drug]) -> Iterable[Remark]:
    for drug in drugs:
        for said in drug.remarks:
            yield Remark(f"{drug.label}: {said}", drug.asked.source)


def _of_conditions(lookup: Lookup, patient: Patient, statements: Sequence[Statement]) -> Iterable[Remark]:
    systems = {each.coding.system for one in statements for each in one.condition.codes}
    for known in patient.conditions:
        own = {one.system for one in known.asked.codes}
        if own and systems and not own & systems:
            yield Remark(
                f"{known.asked.label}: what is stated of these drugs names conditions by codes of other systems "
                f"({', '.join(sorted(systems))}): they were not compared",
                known.asked.source,
            )
        for one in known.asked.codes:
            if not lookup.above(one)[1]:
                yield Remark(
                    f"{known.asked.label}: what stands above {one} is not known here: only statements with this very "
                    "code were found",
                    known.asked.source,
                )


def _of_sets(lookup: Lookup) -> Iterable[Remark]:
    for url in lookup.unlisted:
        yield Remark(f"the value set {url} cannot be listed here: what is stated of its members was not compared")


def _release(lookup: Lookup) -> str:
    """Which state of the statements answered: when the newest was written."""
    if not lookup.registry.serves(TYPE) or lookup.service.finds(TYPE) == "some":
        return ""
    newest = lookup.reader.history_of(TYPE, count=1)
    if not newest:
        return f"no {TYPE}"
    return f"{TYPE} as of {instant(newest[0].updated)}, version {newest[0].version} of {newest[0].id}"
