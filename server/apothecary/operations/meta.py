"""$meta, $meta-add, $meta-delete: https://hl7.org/fhir/R5/resource-operation-meta.html

Adding and deleting change the current version in place: the specification wants no new version, because tags, profiles
and security labels
do not change what a resource says.
"""

from __future__ import annotations

from typing import Any

from apothecary.errors import BadRequest, Gone, InvalidContent, NotFound
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.profiles import profiles_for
from apothecary.interactions.read import read
from apothecary.interactions.service import check_id
from apothecary.interactions.writing import check_writable, rows
from apothecary.operations.base import Argument, Call, Operation
from apothecary.store.contract import Transaction
from apothecary.validation import Options, validate

# What meta operations are about, and what makes two entries the same.
_SETS = ("profile", "security", "tag")


def _identity(one: Any) -> Any:
    """Tags and labels are the same by system and code, profiles by their whole URL."""
    return (one.get("system"), one.get("code")) if isinstance(one, dict) else one


def get(call: Call) -> JSON:
    """The meta of a resource; of a type or the system, all profiles, tags and security labels in use."""
    if call.resource_type is not None and call.resource_id is not None:
        stored = read(call.service, call.version, call.resource_type, call.resource_id)
        return _answer(parse(stored.body or b"").get("meta", {}))
    types = [call.resource_type] if call.resource_type else list(call.service.registry(call.version).types)
    found: JSON = {}
    for kind in types:
        for stored in call.service.reader.all_of_type(kind):
            found = _union(found, parse(stored.body or b"").get("meta", {}))
    return _answer(found)


def add(call: Call) -> JSON:
    """Put the given profiles, tags and labels in, each once."""
    return _change(call, _union)


def remove(call: Call) -> JSON:
    """Take the given profiles, tags and labels out; those that are not there are no error."""
    return _change(call, _difference)


def _union(meta: JSON, more: JSON) -> JSON:
    result = dict(meta)
    for name in _SETS:
        items = list(meta.get(name, ()))
        known = {_identity(one) for one in items}
        for one in more.get(name, ()):
            if _identity(one) not in known:
                known.add(_identity(one))
                items.append(one)
        if items:
            result[name] = items
    return result


def _difference(meta: JSON, less: JSON) -> JSON:
    result = dict(meta)
    for name in _SETS:
        gone = {_identity(one) for one in less.get(name, ())}
        items = [one for one in meta.get(name, ()) if _identity(one) not in gone]
        if items:
            result[name] = items
        else:
            result.pop(name, None)
    return result


def _change(call: Call, combine: Any) -> JSON:
    check_writable(call.service)
    kind, identity = str(call.resource_type), str(call.resource_id)
    check_id(identity)
    given = call.parameter("meta")
    if not isinstance(given, dict):
        raise BadRequest(
            "the parameter meta is missing",
            expression="meta",
            code="required",
            remedy="POST Parameters with a parameter named meta and a valueMeta.",
        )

    def work(transaction: Transaction) -> JSON:
        call.service.permit((kind,), "r")
        call.service.permit((kind,), "u")
        current = transaction.read(kind, identity)
        if current is None:
            raise NotFound(f"{kind}/{identity} does not exist")
        if current.body is None:
            raise Gone(f"{kind}/{identity} was deleted")
        resource = parse(current.body)
        # Version and time are the server's; given ones are not looked at.
        resource["meta"] = combine(resource["meta"], given)
        kept = FhirVersion(current.fhir_version)
        options = Options(profiles=profiles_for(call.service, resource), errors_only=True)
        issues = validate(resource, kept, options=options)
        if issues:
            raise InvalidContent("the meta is not valid", issues=issues)
        changed = current._replace(body=dumps(resource))
        registry = call.service.registry(FhirVersion.R5)
        transaction.amend(changed, rows(call.service, registry, kept, call.base, resource, changed.body or b""))
        meta: JSON = resource["meta"]
        return meta

    return _answer(call.service.write(work))


def _answer(meta: JSON) -> JSON:
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}


_BASE = "http://hl7.org/fhir/OperationDefinition/Resource-"
_GIVEN = (Argument("meta", "Meta", "The profiles, tags and labels to add or to take away."),)
OPERATIONS = (
    Operation("meta", f"{_BASE}meta", frozenset({"system", "type", "instance"}), False, get),
    Operation("meta-add", f"{_BASE}meta-add", frozenset({"instance"}), True, add, arguments=_GIVEN),
    Operation("meta-delete", f"{_BASE}meta-delete", frozenset({"instance"}), True, remove, arguments=_GIVEN),
)
