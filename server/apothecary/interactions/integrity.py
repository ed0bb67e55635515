"""References between resources, checked when all of a write is done: https://hl7.org/fhir/R5/http.html#integrity

The check looks at the final state, so that two resources may point to each other and be written, or deleted, together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apothecary.errors import Conflict, Issue, Unprocessable
from apothecary.fhir.references import localise, own_literals, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.interactions.writing import Written
from apothecary.search.own import bases
from apothecary.store.contract import Transaction

# How many referrers an error names.
NAMED = 20


Placed = Sequence[tuple[Written, str]]
"""What was written, each with the entry of a bundle that wrote it, such as `Bundle.entry[3]`; empty for none."""


def check(service: Service, transaction: Transaction, base: str, written: Iterable[Written]) -> None:
    """`base` is where the request came to. Raises Unprocessable for references to nothing, Conflict for deletions of
    what others point to.
    """
    check_placed(service, transaction, base, [(one, "") for one in written])


def check_placed(service: Service, transaction: Transaction, base: str, written: Placed) -> None:
    """The same for the entries of a transaction: the errors name them."""
    if service.settings.references == "enforced":
        # Most resources of a large load have no reference; searching their text is faster than walking them.
        mentioning = [(one, entry) for one, entry in written if b'"reference":' in (one.stored.body or b"")]
        _targets(service, transaction, base, mentioning)
    if service.settings.delete_referenced == "refused":
        _deletions(transaction, [(one, entry) for one, entry in written if one.stored.deleted and one.stored.version])


def _targets(service: Service, transaction: Transaction, base: str, written: Placed) -> None:
    # Older releases lack types that their references, or the extensions of a conversion, may still point to.
    served = service.registries[FhirVersion.R5]
    own = bases(service.settings, base)
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for one, entry in written:
        for path, literal in own_literals(one.resource or {}):
            target = parse_reference(localise(literal, own))
            if target.relative and target.type and target.id and served.serves(target.type):
                place = f"{entry}.resource.{path.partition('.')[2]}" if entry else path
                wanted.setdefault((target.type, target.id), (place, literal))
    if not wanted:
        return
    missing = set(wanted) - transaction.existing(list(wanted))
    if missing:
        issues = [
            Issue(
                "error",
                "business-rule",
                f"{literal} does not exist on this server",
                (path,),
                rule="reference-target",
                remedy="Create it first or in the same transaction, or set references=allowed.",
            )
            for key, (path, literal) in wanted.items()
            if key in missing
        ]
        raise Unprocessable("a reference points to nothing", issues=issues)


def _deletions(transaction: Transaction, deleted: Placed) -> None:
    for one, entry in deleted:
        name = f"{one.stored.type}/{one.stored.id}"
        found = [
            key for key in transaction.referrers(one.stored.type, one.stored.id, NAMED + 1) if "/".join(key) != name
        ]
        if found:
            shown = ", ".join("/".join(key) for key in found[:NAMED])
            more = " and others" if len(found) > NAMED else ""
            raise Conflict(
                f"{name} cannot be deleted: {shown}{more} point to it",
                expression=entry or (),
                code="conflict",
                remedy="Change or delete those first, or in the same transaction; or set delete_referenced=allowed.",
            )
