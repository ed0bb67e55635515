"""What an element asks of each of its values beyond their inside: the form of a primitive, codes, invariants, the
targets of references (https://hl7.org/fhir/R5/elementdefinition.html).
"""

from __future__ import annotations

from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Property
from apothecary.validation.attachments import check_attachment
from apothecary.validation.bindings import binding_check, code_acceptor, code_defect
from apothecary.validation.extensions import check_extensions
from apothecary.validation.invariants import Judge, judges
from apothecary.validation.narrative import check_narrative
from apothecary.validation.primitives import acceptor, defect
from apothecary.validation.properties import ObjectCheck, One
from apothecary.validation.references import check_canonical, check_reference
from apothecary.validation.run import At, Run


def primitive_check(version: FhirVersion, found: Property) -> One:
    """The check of one value of a primitive property."""
    type_name, element = found.type, found.element
    accept = acceptor(version, type_name)
    judged = _judges(version, found)
    bounds = [bound for bound in element.bindings if bound.strength in ("required", "extensible")]
    if type_name == "xhtml":
        return check_narrative
    for bound in bounds:
        accept = code_acceptor(version, bound, accept)

    def check(value: Any, at: At, key: str, index: int | None, depth: int, run: Run) -> None:
        if not accept(value):
            wrong = defect(version, type_name, value)
            for bound in bounds:
                wrong = wrong or code_defect(version, bound, value)
            if wrong is not None:
                run.report(wrong.rule, at, wrong.text, key=key, index=index, remedy=wrong.remedy)
                return
        for judge in judged:
            judge(value, (at, key, index), run)

    if type_name == "canonical" and element.types[0].targets:
        targets = next(item.targets for item in element.types if item.code == type_name)

        def check_target(value: Any, at: At, key: str, index: int | None, depth: int, run: Run) -> None:
            check(value, at, key, index, depth, run)
            if isinstance(value, str) and value.startswith("#"):
                check_canonical(value, targets, (at, key, index), run)

        return check_target
    return check


def object_checks(version: FhirVersion, found: Property) -> tuple[ObjectCheck, ...]:
    """The checks of one object that is a value of a property, to be made after those of its own elements."""
    element = found.element
    after: list[ObjectCheck] = list(_judges(version, found))
    checks = (
        binding_check(version, bound, found.type, needs_code=bound is element.binding) for bound in element.bindings
    )
    after += [check for check in checks if check is not None]
    targets = next((item.targets for item in element.types if item.code == found.type), ())
    if found.type == "Reference" and "Resource" not in targets:
        after.append(lambda value, at, run: check_reference(value, at, run, targets))
    elif found.type == "CodeableReference" and "Resource" not in targets:
        after.append(lambda value, at, run: _check_codeable(value, at, run, targets))
    if found.type == "Attachment":
        after.append(check_attachment)
    if found.type == "Extension":
        modifier = element.name == "modifierExtension"
        after.append(lambda value, at, run: check_extensions(value, at, run, modifier))
    return tuple(after)


def _check_codeable(value: dict[str, Any], at: At, run: Run, targets: tuple[str, ...]) -> None:
    reference = value.get("reference")
    if isinstance(reference, dict):
        check_reference(reference, (at, "reference", None), run, targets)


def _judges(version: FhirVersion, found: Property) -> tuple[Judge, ...]:
    return judges(version, found.structure, found.element.invariants)
