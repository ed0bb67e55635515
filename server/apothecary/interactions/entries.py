"""The entries of a batch or transaction, read and checked: https://hl7.org/fhir/R5/bundle.html#transaction"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from apothecary.errors import (
    BadRequest,
    FhirError,
    InvalidContent,
    Issue,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    TooLarge,
)
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, no_text, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.patch import Patcher, fhirpath_patcher, json_patcher
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.update import check_identity
from apothecary.interactions.writing import Prepared, check, check_writable
from apothecary.search.own import bases, below
from apothecary.search.text import decode

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
BUNDLES = ("batch", "transaction")
_STRINGS = ("method", "url", "ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince")


@dataclass(slots=True)
class Entry:
    """One entry: its request taken apart, its resource checked."""

    number: int
    method: str
    resource_type: str = ""
    resource_id: str = ""
    criteria: str = ""
    """The query behind the type: a condition of PUT, PATCH and DELETE, a search of GET."""
    path: str = ""
    """What a GET asks for, below the base, without the query."""
    full_url: str = ""
    resource: JSON | None = None
    posted: JSON | None = None
    """What an operation is called with."""
    patcher: Patcher | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = None
    if_modified_since: str | None = None
    prepared: Prepared | None = None

    @property
    def is_operation(self) -> bool:
        """Whether it calls an operation, which in a batch may change nothing."""
        return self.path.rpartition("/")[2].startswith("$")

    @property
    def reads(self) -> bool:
        """Whether it writes nothing."""
        return self.method in ("GET", "HEAD") or (self.method == "POST" and self.is_operation)

    @property
    def expression(self) -> str:
        return f"Bundle.entry[{self.number}]"

    def named(self, error: FhirError) -> FhirError:
        """The same error, with issues that name this entry."""
        request = f"{self.method} {self.path or self.resource_type}"
        issues = [_placed(issue, self.expression, request) for issue in error.issues]
        return error.with_issues(issues)


# Where the headers of an interaction by itself stand in an entry.
_HEADERS = {
    "If-Match": "request.ifMatch",
    "If-None-Match": "request.ifNoneMatch",
    "criteria": "request.url",
    "resourceType": "resource",
}


def _placed(issue: Issue, entry: str, request: str) -> Issue:
    """`issue` with its expressions put below the entry."""
    below = []
    for one in issue.expression:
        first, dot, rest = one.partition(".")
        if first in ("request", "resource", "fullUrl"):
            below.append(f"{entry}.{one}")
        elif first.isalpha() and first[0].isupper():
            below.append(f"{entry}.resource{dot}{rest}")
        else:
            below.append(f"{entry}.{_HEADERS.get(one, 'request')}")
    return replace(
        issue,
        diagnostics=f"{entry} ({request.strip()}): {issue.diagnostics}",
        expression=tuple(dict.fromkeys(below)) or (entry,),
        pointer=None,
    )


def read_bundle(service: Service, version: FhirVersion, bundle: Any) -> tuple[str, list[Any]]:
    """The type of a posted bundle and its raw entries. Raises BadRequest for another resource or type, TooLarge."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        found = bundle.get("resourceType") if isinstance(bundle, dict) else type(bundle).__name__
        raise BadRequest(
            f"the base takes a Bundle, this is {found!r}",
            expression="resourceType",
            remedy="POST a resource to [base]/[type].",
        )
    _refuse_unknown(version, "Bundle", bundle, "Bundle")
    kind = bundle.get("type")
    if kind not in BUNDLES:
        raise BadRequest(
            f"Bundle.type is {kind!r}; the base takes {' and '.join(BUNDLES)}", expression="Bundle.type", code="value"
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or ("entry" in bundle and not entries):
        raise InvalidContent("Bundle.entry is a list with at least one entry", expression="Bundle.entry")
    check_number(service, len(entries))
    return kind, entries


def check_number(service: Service, number: int) -> None:
    """Raises TooLarge for a bundle of more entries than a server takes."""
    if number > service.settings.bundle_limit:
        raise TooLarge(
            f"the bundle has {number} entries, the limit is {service.settings.bundle_limit}",
            expression="Bundle.entry",
            remedy="Send several bundles; the operator of the server can allow larger ones (APOTHECARY_BUNDLE_LIMIT).",
        )


def read_entry(
    service: Service, version: FhirVersion, base: str, number: int, raw: Any, *, of_transaction: bool = False
) -> Entry:
    """One entry. Raises a FhirError, with the entry named, for whatever is wrong with it by itself."""
    entry = Entry(number, "")
    try:
        _read(service, version, base, raw, entry, of_transaction)
    except FhirError as error:
        raise entry.named(error) from None
    return entry


def _read(service: Service, version: FhirVersion, base: str, raw: Any, entry: Entry, of_transaction: bool) -> None:
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict):
        raise InvalidContent("an entry of a batch or transaction has a request (bdl-3)", rule="bdl-3")
    _refuse_unknown(version, "Bundle.entry", raw, "")
    _refuse_unknown(version, "Bundle.entry.request", request, "request")
    for place, name, held in (("", "fullUrl", raw), *(("request.", one, request) for one in _STRINGS)):
        if name in held and not (isinstance(held[name], str) and held[name]):
            raise InvalidContent(f"{name} is text that is not empty", expression=place + name)
    if "method" not in request or "url" not in request:
        raise InvalidContent("a request has a method and a url", expression="request")
    method, entry.full_url = request["method"], raw.get("fullUrl", "")
    entry.method = method
    for name in ("url", "ifNoneExist"):
        if len(request.get(name, "")) > service.settings.url_limit:
            raise TooLarge(
                f"{name} is longer than {service.settings.url_limit} characters (APOTHECARY_URL_LIMIT)",
                expression=f"request.{name}",
            )
    try:
        request["url"].encode()
    except UnicodeEncodeError:
        raise NotFound("the url holds half of a surrogate pair, so nothing is there") from None
    path, _, entry.criteria = below(request["url"], bases(service.settings, base)).lstrip("/").partition("?")
    entry.path = path
    if method not in METHODS:
        raise MethodNotAllowed(
            f"{method} is no method of an entry; those are {', '.join(METHODS)}", expression="request.method"
        )
    entry.if_match, entry.if_none_match = request.get("ifMatch"), request.get("ifNoneMatch")
    entry.if_none_exist, entry.if_modified_since = request.get("ifNoneExist"), request.get("ifModifiedSince")
    if "resource" in raw and not isinstance(raw["resource"], dict):
        raise InvalidContent("a resource is a JSON object", expression="resource")
    if entry.reads:
        if entry.is_operation and of_transaction:
            raise NotSupported(f"{path}: operations are not offered inside a transaction", expression="request.url")
        entry.posted = raw.get("resource")
        return
    check_writable(service)
    segments = path.rstrip("/").split("/")
    entry.resource_type = segments[0]
    service.check_type(version, entry.resource_type)
    if len(segments) > 2 or (len(segments) == 2 and segments[1].startswith(("$", "_"))):
        raise MethodNotAllowed(f"{method} {path} cannot stand in a bundle", expression="request.url")
    entry.resource_id = segments[1] if len(segments) == 2 else ""
    _check_target(entry)
    if method in ("POST", "PUT"):
        if "resource" not in raw:
            raise InvalidContent(f"a {method} has a resource", expression="resource", code="required")
        entry.resource = check(service, version, raw["resource"], entry.resource_type, of_transaction=of_transaction)
        if method == "PUT" and entry.resource_id:
            check_identity(entry.resource, entry.resource_id)
    elif method == "PATCH":
        entry.patcher = _patcher(service, raw.get("resource"), version)


def _refuse_unknown(version: FhirVersion, structure: str, found: JSON, where: str) -> None:
    """Raises InvalidContent for an element that does not exist: a condition with a slip of the pen in its name would
    otherwise be a write without condition.
    """
    properties = definitions(version).structure(structure).properties
    for name in found:
        if name != "resourceType" and name.removeprefix("_") not in properties:
            raise InvalidContent(f"{structure} has no element {name!r}", expression=f"{where}.{name}".lstrip("."))


def _check_target(entry: Entry) -> None:
    """Raises BadRequest where the url does not fit the method."""
    where = "request.url"
    if entry.method == "POST":
        if entry.resource_id or entry.criteria:
            raise BadRequest("POST goes to a type; PUT goes to an id or criteria", expression=where)
    elif entry.resource_id:
        check_id(entry.resource_id)
        if entry.criteria:
            raise BadRequest("an id and criteria cannot stand together", expression=where)
    elif not decode(entry.criteria):
        raise BadRequest(f"{entry.method} needs an id or criteria", expression=where)


def _patcher(service: Service, resource: Any, version: FhirVersion) -> Patcher:
    """A patch as an entry carries it: Parameters, or a Binary that holds a JSON Patch."""
    if isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
        return fhirpath_patcher(service.settings, resource, version)
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        raise InvalidContent("a PATCH carries Parameters (FHIRPath Patch) or a Binary with a JSON Patch")
    data = resource.get("data")
    if not isinstance(data, str):
        raise InvalidContent("the Binary of a PATCH has data", expression="resource.data", code="required")
    try:
        patch = base64.b64decode(data, validate=True)
        operations = parse(patch)
    except (ValueError, binascii.Error) as error:
        raise InvalidContent(f"the Binary does not hold a JSON Patch: {error}", expression="resource.data") from None
    if (reason := no_text(patch, operations)) is not None:
        raise InvalidContent(f"the Binary holds no JSON Patch: {reason}", expression="resource.data", code="value")
    return json_patcher(service.settings, operations)
