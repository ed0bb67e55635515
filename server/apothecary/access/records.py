"""Who did what, as an AuditEvent of R4: https://hl7.org/fhir/R4/auditevent.html

By the patterns of IHE's Basic Audit Log Patterns (https://profiles.ihe.net/ITI/BALP/content.html): one profile each for
create, read, update, delete and query, with the agent that an access token names. What these do not cover (batches,
histories, operations, files, refusals) is written in the same manner and claims no profile.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apothecary.access.asked import LONGEST, SHORT, cut
from apothecary.access.grant import Grant
from apothecary.fhir.temporal import instant
from apothecary.interactions.ids import new_id

TYPE = "AuditEvent"

# A record names so many things; what more there is, further records name under the same request.
MOST = 1000
# A text of the client's, such as the id that it gives a request, is no longer than that.
TEXT = 200

BALP = "https://profiles.ihe.net/ITI/BALP"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

# Where a line of the record says what the SHA-256 of the line before it is.
CHAIN = "urn:apothecary:audit-chain"
# What stands there before it is known, and before the first line.
NONE = "0" * 64

# By interaction: the action, and the profile of a success. https://hl7.org/fhir/R4/valueset-audit-event-action.html
_ACTIONS: Mapping[str, tuple[str, str]] = {
    "read": ("R", "Read"),
    "vread": ("R", "Read"),
    "create": ("C", "Create"),
    "update": ("U", "Update"),
    "patch": ("U", "Update"),
    "delete": ("D", "Delete"),
    "search": ("E", "Query"),
    "search-type": ("E", "Query"),
    "search-system": ("E", "Query"),
    "history-instance": ("R", ""),
    "history-type": ("R", ""),
    "history-system": ("R", ""),
}
# https://hl7.org/fhir/R4/valueset-dicom-audit-lifecycle.html
CREATED, AMENDED, DELETED = "1", "3", "14"


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


_REST = _coding(f"{_TERMINOLOGY}/audit-event-type", "rest", "Restful Operation")
_ACTIVITY = _coding(_DCM, "110100", "Application Activity")
_LOGIN = _coding(_DCM, "110114", "User Authentication")
_OBJECT = _coding(f"{_TERMINOLOGY}/audit-entity-type", "2", "System Object")
_DOMAIN = _coding(f"{_TERMINOLOGY}/object-role", "4", "Domain Resource")
_QUERY = _coding(f"{_TERMINOLOGY}/object-role", "24", "Query")
_JOB = _coding(f"{_TERMINOLOGY}/object-role", "20", "Job")
_REQUEST = {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
_SOURCE = {"coding": [_coding(_DCM, "110153", "Source Role ID")]}
_DESTINATION = {"coding": [_coding(_DCM, "110152", "Destination Role ID")]}
_APPLICATION = {"coding": [_coding(_DCM, "110150", "Application")]}
_RECIPIENT = _coding(f"{_TERMINOLOGY}/v3-ParticipationType", "IRCP", "information recipient")
_AUTHOR = _coding(f"{_TERMINOLOGY}/v3-ParticipationType", "AUT", "author (originator)")
_SERVER = [_coding(f"{_TERMINOLOGY}/security-source-type", "4", "Application Server")]
_LIFECYCLES = {
    code: _coding(f"{_TERMINOLOGY}/dicom-audit-lifecycle", code, display)
    for code, display in ((CREATED, "Origination / Creation"), (AMENDED, "Amendment"), (DELETED, "Logical deletion"))
}


@dataclass(slots=True)
class Request:
    """What a record tells of a request that was answered."""

    interaction: str
    """As https://hl7.org/fhir/R4/valueset-type-restful-interaction.html names it; of other addresses what the server
    calls them.
    """
    status: int
    moment: int
    """When it was answered, in microseconds since 1970."""
    base: str
    """The public address of the base."""
    address: str
    """The client's network address."""
    grant: Grant | None = None
    number: str = ""
    """What the client calls the request."""
    target: str = ""
    """What the address names."""
    query: str = ""
    """Method, address, parameters and form; empty where there is nothing but the address of a resource."""
    asked: Sequence[tuple[str, str]] = ()
    """Method and address of each entry of a bundle."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """What was written, each with its code of dicom-audit-lifecycle."""
    came: Sequence[str] = ()
    """The resources in the answer."""
    file: tuple[str, str, int] | None = None
    """A file of an export: its address, the type of the resources in it, and how many there are."""


def events(request: Request, server: str) -> list[dict[str, Any]]:
    """The records of a request: one, or further ones where it names more than a record holds. `server` is the name of
    the machine.
    """
    entities = list(_entities(request))
    parts = [entities[at : at + MOST] for at in range(0, len(entities), MOST)] or [[]]
    return [_event(request, server, part, number) for number, part in enumerate(parts)]


def started(server: str, moment: int, said: str | None = None) -> dict[str, Any]:
    """The record that a process of the server begins with, or goes on with after what is `said`."""
    recorded = instant(moment)
    event = _begin(recorded, "")
    event |= {
        "type": _ACTIVITY,
        "subtype": [_coding(_DCM, "110120", "Application Start")],
        "action": "E",
        "recorded": recorded,
        "outcome": "4" if said else "0",
        "agent": [{"type": _APPLICATION, "who": {"display": server}, "requestor": False}],
        "source": _source(server),
    }
    if said:
        event["outcomeDesc"] = said
    return event


def _begin(moment: str, profile: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"lastUpdated": moment}
    if profile:
        meta["profile"] = [f"{BALP}/StructureDefinition/IHE.BasicAudit.{profile}"]
    meta["tag"] = [{"system": CHAIN, "code": NONE}]
    return {"resourceType": TYPE, "id": new_id(), "meta": meta}


def _event(request: Request, server: str, entities: list[dict[str, Any]], part: int) -> dict[str, Any]:
    action, profile = _ACTIONS.get(request.interaction, ("E", ""))
    well = request.status < 400
    recorded = instant(request.moment)
    event = _begin(recorded, profile if well and part == 0 else "")
    token = request.interaction == "token"
    event |= {
        "type": _LOGIN if token else _REST,
        "subtype": [_subtype(request.interaction)],
        "action": action,
        "recorded": recorded,
        "outcome": "0" if well else "8" if request.status >= 500 else "4",
        "outcomeDesc": f"{request.status}" + (f", continued ({part})" if part else ""),
        "agent": _agents(request, server, action),
        "source": _source(server),
    }
    if entities:
        event["entity"] = entities
    return event


def _subtype(interaction: str) -> dict[str, str]:
    if interaction == "token":
        return _coding(_DCM, "110122", "Login")
    if interaction in _ACTIONS or interaction in ("batch", "transaction", "operation"):
        return _coding("http://hl7.org/fhir/restful-interaction", interaction, interaction)
    return {"system": "urn:apothecary:interaction", "code": interaction}


def _agents(request: Request, server: str, action: str) -> list[dict[str, Any]]:
    """The client that sent the request, who stands behind it, and the server. In what is read the client is where it
    goes, in all else where it comes from.
    """
    reading = action == "R"
    grant, network = request.grant, {"address": request.address or "unknown", "type": "2" if request.address else "1"}
    user = grant is not None and grant.subject is not None
    who: dict[str, Any] = {"display": "anonymous"}
    if grant is not None:
        who = {"identifier": {"system": grant.issuer, "value": grant.client}}
        if grant.name and not user:
            who["display"] = grant.name
    client = {"type": _DESTINATION if reading else _SOURCE, "who": who, "requestor": not user, "network": network}
    its = {
        "type": _SOURCE if reading else _DESTINATION,
        "who": {"display": server},
        "requestor": False,
        "network": {"address": request.base, "type": "5"},
    }
    agents = [client, its]
    if grant is not None:
        agents.append({"type": _APPLICATION, "who": who, "requestor": False, "network": network})
    if grant is not None and user:
        person: dict[str, Any] = {"identifier": {"system": grant.issuer, "value": grant.subject}}
        kind = {"coding": [_AUTHOR if action in "CUD" else _RECIPIENT]}
        agent = {"type": kind, "who": person, "requestor": True}
        agents.append(agent | ({"name": grant.name} if grant.name else {}))
    return agents


def _source(server: str) -> dict[str, Any]:
    return {"site": server, "observer": {"display": f"Apothecary on {server}"}, "type": _SERVER}


def _entities(request: Request) -> Iterator[dict[str, Any]]:
    """What was asked for, then what was changed, then what came."""
    if request.number:
        yield {"what": {"identifier": {"value": request.number[:TEXT]}}, "type": _REQUEST}
    if request.query:
        text, said = cut(request.query, LONGEST if _let_in(request) else SHORT)
        entity = {"type": _OBJECT, "role": _QUERY, "query": b64encode(text).decode()}
        yield entity | ({"description": said} if said else {})
    first = request.interaction in ("read", "vread", "create", "update", "patch", "delete")
    for what, lifecycle in request.changed.items():
        yield _data(what, typed=first) | {"lifecycle": _LIFECYCLES[lifecycle]}
        first = False
    for what in request.came or ([request.target] if request.target and not request.changed else []):
        if what not in request.changed:
            yield _data(what, typed=first)
            first = False
    for method, address in request.asked:
        text, said = cut(f"{method} {address}")
        entity = {"role": _QUERY, "query": b64encode(text).decode()}
        yield entity | ({"description": said} if said else {})
    if request.file is not None:
        where, kind, number = request.file
        about = [{"type": "resources", "valueString": kind}, {"type": "number", "valueString": str(number)}]
        yield {"what": {"identifier": {"value": where}}, "type": _OBJECT, "role": _JOB, "detail": about}


def _let_in(request: Request) -> bool:
    """Whether somebody who is known asked, or anybody may; who gets no token is neither."""
    return request.status not in (401, 429) and (request.interaction != "token" or request.grant is not None)


def _data(what: str, *, typed: bool) -> dict[str, Any]:
    """A resource. Of a query's results BALP wants no type: that is the query's own there."""
    entity: dict[str, Any] = {"what": {"reference": what}}
    if typed:
        entity["type"] = _OBJECT
    return entity | {"role": _DOMAIN}
