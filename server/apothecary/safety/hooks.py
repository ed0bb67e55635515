"""What an EHR sends when somebody opens a record, chooses an order or signs one, as the list that it asks about.

https://cds-hooks.hl7.org/2.0/, and of the hooks https://cds-hooks.org/hooks/order-select/,
https://cds-hooks.org/hooks/order-sign/, https://cds-hooks.org/hooks/medication-prescribe/ and
https://cds-hooks.org/hooks/patient-view/. The request holds everything: nothing is fetched from the server that it
names, nor is the token used that it brings along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from apothecary.errors import BadRequest, PreconditionFailed
from apothecary.fhir.json import JSON
from apothecary.safety.asked import Asked, Remark
from apothecary.safety.concepts import items
from apothecary.safety.reading import Reader

# What everything that a patient takes, has and is stands in: the key, the FHIR query, what it is called, and whether
# `patient-view` needs it.
_PREFETCH = (
    ("patient", "Patient/{{context.patientId}}", "age and sex"),
    ("medications", "MedicationRequest?patient={{context.patientId}}&status=active", "active orders"),
    ("statements", "MedicationStatement?patient={{context.patientId}}&status=active", "what is taken besides"),
    ("conditions", "Condition?patient={{context.patientId}}&clinical-status=active,recurrence,relapse", "conditions"),
    # One without a status counts, too.
    ("allergies", "AllergyIntolerance?patient={{context.patientId}}", "allergies"),
)
PREFETCH = {key: query for key, query, _ in _PREFETCH}
_TAKEN = ("medications", "statements")
# An order of DSTU2, which the first EHRs with CDS Hooks send; its medication and status stand where R4 has them.
_FORMER = "MedicationOrder"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class HookService:
    """A service as EHRs discover it. `orders` is where its hook has the orders that are not signed yet."""

    id: str
    title: str
    description: str
    orders: Literal["draftOrders", "medications", ""]

    def discovered(self) -> JSON:
        """https://cds-hooks.hl7.org/2.0/#discovery"""
        return {
            "hook": self.id,
            "title": self.title,
            "description": self.description,
            "id": self.id,
            "prefetch": PREFETCH,
            "usageRequirements": "The request holds all FHIR resources: none is fetched.",
        }


_ABOUT = (
    "what this server's content states against {}: interactions, contraindications, allergies, duplicates, "
    "limits; each with its source, and with what was not looked at. It gives no advice."
)
SERVICES = {
    one.id: one
    for one in (
        HookService(
            "order-select", "Statements against selected orders", "Shows " + _ABOUT.format("selected orders"),
            "draftOrders",
        ),
        HookService(
            "order-sign", "Statements against orders", "Shows " + _ABOUT.format("orders that are signed"), "draftOrders"
        ),
        HookService(
            "medication-prescribe", "Statements against prescriptions",
            "Shows " + _ABOUT.format("prescriptions, for EHRs of CDS Hooks 1.0"), "medications",
        ),
        HookService(
            "patient-view", "Statements against what a patient takes", "Shows " + _ABOUT.format("what a patient takes"),
            "",
        ),
    )
}  # fmt: skip


@dataclass(slots=True)
class HookCall:
    """A request, read: the list, and the numbers of the drugs in it that the cards are about."""

    asked: Asked
    focus: set[int] = field(default_factory=set)


def read(service: HookService, request: Any, local: Callable[[str], str], today: date, most: int) -> HookCall:
    """What a request asks. `local` gives `Type/id` of a reference to this server, and nothing for others; of drugs, at
    most `most` and one more are read. Raises BadRequest for what is no such request, PreconditionFailed where it lacks
    what nothing can be said without.
    """
    if not isinstance(request, dict):
        raise BadRequest("the request is no JSON object")
    if request.get("hook") != service.id:
        raise BadRequest(f"hook is {service.id} for this service", expression="hook", code="value")
    instance = request.get("hookInstance")
    if not isinstance(instance, str) or not 0 < len(instance) <= _LONGEST:
        raise BadRequest("hookInstance is a UUID", expression="hookInstance", code="value")
    context = _object(request.get("context"), "context")
    patient = context.get("patientId")
    if not isinstance(patient, str) or not patient:
        raise BadRequest("context.patientId is the id of a patient", expression="context.patientId", code="required")
    prefetch = {} if request.get("prefetch") is None else _object(request["prefetch"], "prefetch")
    call = HookCall(Asked())
    # What is relative in a request of an EHR is on the EHR's server, and not on this one.
    reader = Reader(call.asked, lambda literal: local(literal) if "://" in literal else "", today, most, [patient])
    orders = _orders(service, context, call.asked)
    _read_prefetch(call, reader, prefetch, patient, {_named(one) for one in _resources(orders)} - {""})
    if not service.orders:
        if not any(_came(prefetch, key) for key in _TAKEN):
            keys = " or ".join(f"prefetch.{key}" for key in _TAKEN)
            raise PreconditionFailed(
                f"the request does not say what the patient takes: {keys} is needed", code="required"
            )
        call.focus = set(range(len(call.asked.drugs)))
        return call
    source = f"context.{service.orders}"
    first = len(call.asked.drugs)
    reader.add(orders, source)
    wanted = _selected(service, context, orders, call.asked, source)
    for number, drug in enumerate(call.asked.drugs[first:], first):
        if wanted is None or drug.source in wanted:
            call.focus.add(number)
    return call


def _object(value: Any, where: str) -> JSON:
    if not isinstance(value, dict):
        raise BadRequest(f"{where} is a JSON object", expression=where, code="structure")
    return value


def _orders(service: HookService, context: JSON, asked: Asked) -> JSON:
    """The orders that are not signed yet, as a Bundle; drafts of CDS Hooks 1.0 had them as an array."""
    if not service.orders:
        return {"resourceType": "Bundle"}
    found = context.get(service.orders)
    where = f"context.{service.orders}"
    if isinstance(found, list):
        found = {"resourceType": "Bundle", "entry": [{"resource": one} for one in found]}
    if not isinstance(found, dict) or found.get("resourceType") != "Bundle":
        raise BadRequest(f"{where} is a Bundle of orders", expression=where, code="required")
    if not isinstance(found.get("entry", []), list):
        raise BadRequest(f"{where}.entry is an array", expression=where, code="structure")
    entries = [one if isinstance(one, dict) else {} for one in found.get("entry", [])]
    whole = [_current(one) for one in entries if isinstance(one.get("resource"), dict)]
    if len(whole) < len(entries):
        asked.not_understood.append(Remark(f"{where}: {len(entries) - len(whole)} entries have no resource", where))
    return {**found, "entry": whole}


def _current(entry: JSON) -> JSON:
    """An entry with the order of DSTU2 under its later name."""
    order = entry["resource"]
    if order.get("resourceType") == _FORMER:
        return {**entry, "resource": {**order, "resourceType": "MedicationRequest"}}
    return entry


def _resources(bundle: JSON) -> Iterator[JSON]:
    for entry in bundle.get("entry") or ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _named(resource: JSON) -> str:
    """`Type/id`; empty for what has no id, which is none other of those that have none."""
    return f"{resource.get('resourceType')}/{resource['id']}" if resource.get("id") else ""


def _kind(value: Any) -> Any:
    return value.get("resourceType") if isinstance(value, dict) else None


def _came(prefetch: JSON, key: str) -> bool:
    """Whether the EHR sends a key along: where it could not ask, it sends nothing, or why."""
    return key in prefetch and _kind(prefetch[key]) != "OperationOutcome"


def _read_prefetch(call: HookCall, reader: Reader, prefetch: JSON, patient: str, drafted: set[str]) -> None:
    """What the EHR sends along. A key that is missing was not had; one with null has nothing behind it."""
    for key, _, called in _PREFETCH:
        source = f"prefetch.{key}"
        if not _came(prefetch, key):
            text = f"{called} did not come with the request ({source}): what hangs on them was not looked at"
            call.asked.not_looked_at.append(Remark(text, source))
            continue
        found = prefetch[key]
        if found is None:
            continue
        if not isinstance(found, dict):
            call.asked.not_understood.append(Remark(f"{source} is no FHIR resource", source))
            continue
        if _kind(found) == "Patient" and found.get("id", patient) != patient:
            raise BadRequest("prefetch.patient is another patient than context.patientId", expression=source)
        if _kind(found) == "Bundle":
            found = _without(found, drafted)
            if any(one.get("relation") == "next" for one in items(found.get("link"))):
                text = f"{source} is the first page of several: the others were not looked at"
                call.asked.not_looked_at.append(Remark(text, source))
        reader.add(found, source)
    for key in prefetch:
        if key not in PREFETCH:
            shown = f"prefetch.{str(key)[:_LONGEST]}"
            call.asked.not_looked_at.append(Remark(f"{shown} was not asked for, and not looked at", shown))


def _without(bundle: JSON, drafted: set[str]) -> JSON:
    """A bundle without the orders that stand in the context as they are to become."""
    entries = bundle.get("entry")
    if not drafted or not isinstance(entries, list):
        return bundle
    kept = [one for one in entries if not any(_named(each) in drafted for each in _resources({"entry": [one]}))]
    return {**bundle, "entry": kept}


def _selected(service: HookService, context: JSON, orders: JSON, asked: Asked, source: str) -> set[str] | None:
    """Where the orders stand that were selected just now; None where all count."""
    if service.id != "order-select":
        return None
    selections = context.get("selections")
    where = "context.selections"
    if not isinstance(selections, list) or not all(isinstance(one, str) for one in selections):
        raise BadRequest(f"{where} is an array of ids such as MedicationRequest/1", expression=where, code="required")
    found: dict[str, list[str]] = {}
    for place, entry in enumerate(orders["entry"]):
        for resource in _resources({"entry": [entry]}):
            found.setdefault(_named(resource), []).append(f"{source}.entry[{place}]")
            # CDS Hooks 1.0 had ids without a type.
            found.setdefault(str(resource.get("id")), []).append(f"{source}.entry[{place}]")
    for one in selections:
        name = one.replace(f"{_FORMER}/", "MedicationRequest/", 1)
        if name not in found:
            asked.not_understood.append(Remark(f"{one[:_LONGEST]} is selected, but not among the orders", where))
    return {each for one in selections for each in found.get(one.replace(f"{_FORMER}/", "MedicationRequest/", 1), ())}
