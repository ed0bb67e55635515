"""$document: a Composition with all that it refers to, as one Bundle.
https://hl7.org/fhir/R5/composition-operation-document.html and https://hl7.org/fhir/R5/documents.html#content

The document is made anew for each call: what it holds is as it is now. It is not stored: a client that wants to keep it
has it, and can write it as a Bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from apothecary.errors import NotSupported, TooCostly, Unprocessable
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.references import local_targets, localised
from apothecary.fhir.temporal import instant, now
from apothecary.interactions.forms import body_in
from apothecary.interactions.read import read
from apothecary.operations.base import Argument, Call, Operation
from apothecary.search import own
from apothecary.store.contract import Stored

Key = tuple[str, str]


def run(call: Call) -> JSON:
    """The document. Raises NotFound for a Composition that is not there, Unprocessable where it refers to what is not,
    TooCostly past the number of resources that includes may add, NotSupported where it is to be stored.
    """
    if str(call.parameter("persist")).lower() == "true":
        raise NotSupported("a document is not stored here", expression="persist", remedy="POST it as a Bundle.")
    if call.parameter("graph") is not None:
        raise NotSupported("a document holds what its Composition refers to, and follows no graph", expression="graph")
    service, version = call.service, call.version
    found = service.reader.read("Composition", str(call.resource_id))
    shown = parse(read(service, version, "Composition", str(call.resource_id)).body or b"")
    # What it refers to is read from the text that was written: another release may lack some of the types.
    written = parse((found.body if found else None) or b"{}")
    targets = local_targets(localised(written, own.bases(service.settings, call.base)))
    keys = list(dict.fromkeys((str(target.type), str(target.id)) for target in targets))
    limit = service.settings.include_limit
    if len(keys) > limit:
        raise TooCostly(f"the Composition refers to more than {limit} resources (APOTHECARY_INCLUDE_LIMIT)")
    held = _read(call, keys)
    missing = [f"{kind}/{identity}" for kind, identity in keys if (kind, identity) not in held]
    if missing:
        raise Unprocessable(
            f"the Composition refers to what is not here: {', '.join(missing[:20])}", expression="Composition"
        )
    _add_further(call, held, limit)
    held.pop(("Composition", shown["id"]), None)
    resources = [shown, *(parse(body_in(one, version)) for one in held.values())]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "type": "document",
        "timestamp": instant(now()),
        "entry": [{"fullUrl": f"{call.base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources],
    }


def _read(call: Call, keys: Sequence[Key]) -> dict[Key, Stored]:
    """Those of `keys` that are there, in that order. Raises TooCostly past the bytes of one answer."""
    most = call.service.settings.answer_limit
    found = {(one.type, one.id): one for one in call.service.reader.read_many(keys, most)}
    if sum(len(one.body or b"") for one in found.values()) > most:
        raise TooCostly(f"the document would have more than {most} bytes (APOTHECARY_ANSWER_LIMIT)")
    return {key: found[key] for key in keys if key in found}


def _add_further(call: Call, held: dict[Key, Stored], limit: int) -> None:
    """Add what the resources of the document refer to in turn, as long as all of one distance fits the limits: so it
    can be read without a server to ask.
    """
    near = own.bases(call.service.settings, call.base)
    latest = list(held.values())
    while latest:
        found = (target for one in latest for target in local_targets(localised(parse(one.body or b"{}"), near)))
        keys = [key for key in dict.fromkeys((str(one.type), str(one.id)) for one in found) if key not in held]
        if len(held) + len(keys) > limit:
            return
        try:
            further = _read(call, keys)
        except TooCostly:
            return
        held.update(further)
        latest = list(further.values())


OPERATION = Operation(
    "document",
    "http://hl7.org/fhir/OperationDefinition/Composition-document",
    frozenset({"instance"}),
    False,
    run,
    types=frozenset({"Composition"}),
    arguments=(Argument("persist", "boolean", "Whether to store the document: only false is served."),),
)
