"""Bundles: what entries say about each other (https://hl7.org/fhir/R5/bundle.html).

The invariants `bdl-*` come from the definitions; here stand the rules that the pages give in words.
"""

from __future__ import annotations

import re
from typing import Any

from apothecary.fhir.references import Reference, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.bundle_graph import check_graph
from apothecary.validation.bundle_index import FIRST, BundleIndex, version_of
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_REQUESTED = frozenset({"transaction", "batch", "history"})
# In these an entry needs no fullUrl (https://hl7.org/fhir/R4/bundle.html#bundle-unique); R5 says so by bdl-15.
_WITHOUT_URL = frozenset({"transaction", "transaction-response", "batch", "batch-response"})
_STATUS = re.compile(r"[1-5][0-9]{2}(?:\s.*)?", re.ASCII | re.DOTALL)


def check_bundle(bundle: dict[str, Any], at: At, run: Run) -> None:
    """Check the entries of a Bundle against each other."""
    index = BundleIndex(bundle)
    kind = index.type
    if kind in FIRST:
        check_graph(bundle, index, at, run)
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        return
    seen = _Seen()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        place = (at, "entry", number)
        _check_full_url(entry, place, run)
        if kind not in _WITHOUT_URL:
            _check_has_url(entry, place, run)
            _check_once(entry, kind, number, seen, place, run)
        _check_outcome(entry, place, run)
        request = entry.get("request")
        if kind in _REQUESTED and isinstance(request, dict):
            if kind != "history":
                _check_has_resource(entry, request, place, run)
            target = _check_request(entry, request, place, run)
            if kind == "transaction" and target is not None:
                first = seen.changed.setdefault(target, number)
                if first != number:
                    text = f"changes {'/'.join(target)}, as entry[{first}] already does"
                    run.report(BASE["bundle-duplicate"], place, text)


class _Seen:
    """The numbers of the entries that were met, by what they may be only once: what they change, the version that they
    hold, and the type and id.
    """

    def __init__(self) -> None:
        self.changed: dict[tuple[str, str], int] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.names: dict[tuple[str, str, str | None], int] = {}


def _check_has_url(entry: dict[str, Any], at: At, run: Run) -> None:
    resource, request = entry.get("resource"), entry.get("request")
    if entry.get("fullUrl") or not isinstance(resource, dict) or run.tables.version is FhirVersion.R5:
        return
    # What a create made may stand in a history without it, and what an operation found, or a search has to say, has no
    # identity.
    is_created = isinstance(request, dict) and request.get("method") == "POST"
    if is_created or "id" not in resource or resource.get("resourceType") == "OperationOutcome":
        return
    run.report(BASE["bundle-full-url"], at, "has no fullUrl")


def _check_once(entry: dict[str, Any], kind: str, number: int, seen: _Seen, at: At, run: Run) -> None:
    """Check that no version stands twice in a history (elsewhere bdl-7 asks it), and that type and id tell entries
    apart whose fullUrls are no addresses.
    """
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if not isinstance(resource, dict):
        return
    version = version_of(resource)
    if kind == "history":
        if isinstance(url, str) and version is not None:
            first = seen.versions.setdefault((url, version), number)
            if first != number:
                text = f"is version {version} of {shown(url)}, as entry[{first}] already is"
                run.report(BASE["bundle-duplicate"], at, text)
        return
    name, identity = resource.get("resourceType"), resource.get("id")
    if isinstance(url, str) and parse_reference(url).base is not None:
        return
    if isinstance(name, str) and isinstance(identity, str):
        first = seen.names.setdefault((name, identity, version), number)
        if first != number:
            text = f"is {name}/{identity}, as entry[{first}] already is, and no fullUrl says from which server each is"
            run.report(BASE["bundle-same-id"], at, text)


def _check_outcome(entry: dict[str, Any], at: At, run: Run) -> None:
    """Check what an entry says of the search or the request that it is the outcome of."""
    search, response, resource = entry.get("search"), entry.get("response"), entry.get("resource")
    if isinstance(search, dict) and search.get("mode") == "outcome" and isinstance(resource, dict):
        name = resource.get("resourceType")
        if name != "OperationOutcome":
            text = f"is 'outcome', but the resource is a {name}"
            run.report(BASE["bundle-outcome"], at, text, inside=("search", "mode"))
    status = response.get("status") if isinstance(response, dict) else None
    if isinstance(status, str) and _STATUS.fullmatch(status) is None:
        text = f"is {shown(status)}, which does not begin with the three digits of an HTTP status"
        run.report(BASE["bundle-outcome"], at, text, inside=("response", "status"))


def _check_full_url(entry: dict[str, Any], at: At, run: Run) -> None:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if not isinstance(url, str) or not url:
        return
    if _ABSOLUTE.fullmatch(url) is None:
        run.report(BASE["bundle-full-url"], at, f"is {shown(url)}, which is not absolute", key="fullUrl")
        return
    if not isinstance(resource, dict) or url.startswith("urn:"):
        return
    named = parse_reference(url)
    name, identifier = resource.get("resourceType"), resource.get("id")
    if named.type is None or not run.tables.is_resource_type(named.type):
        return
    if named.type != name or (identifier is not None and named.id != identifier):
        text = f"is {shown(url)}, but the resource is {name}/{identifier}"
        run.report(BASE["bundle-full-url"], at, text, key="fullUrl")


def _check_request(entry: dict[str, Any], request: dict[str, Any], at: At, run: Run) -> tuple[str, str] | None:
    """Check that request and resource agree; the identity that the request changes, when it names one."""
    method, url = request.get("method"), request.get("url")
    if not isinstance(url, str) or method not in ("POST", "PUT", "PATCH", "DELETE"):
        return None
    resource = entry.get("resource")
    path = parse_reference(url.partition("?")[0])
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if method == "POST":
        type_name = url.partition("?")[0].strip("/")
        if isinstance(name, str) and run.tables.is_resource_type(type_name) and type_name != name:
            _mismatch(url, f"the resource is a {name}", at, run)
        return None
    if method == "PUT" and isinstance(resource, dict):
        _check_put(url, path, resource, at, run)
    return (path.type, path.id) if path.type is not None and path.id is not None else None


def _check_has_resource(entry: dict[str, Any], request: dict[str, Any], at: At, run: Run) -> None:
    """Check that a transaction or batch has what it writes; R5 asks it by bdl-3c. A notification of R4B, which is a
    history, may leave it out.
    """
    method, url = request.get("method"), request.get("url")
    if "resource" in entry or not isinstance(url, str) or run.tables.version is FhirVersion.R5:
        return
    # An operation may be called with parameters in the url only.
    if method == "PUT" or (method == "POST" and run.tables.is_resource_type(url.partition("?")[0].strip("/"))):
        run.report(BASE["bundle-request"], at, f"has no resource for its {method}")


def _check_put(url: str, path: Reference, resource: dict[str, Any], at: At, run: Run) -> None:
    name, identifier = resource.get("resourceType"), resource.get("id")
    if path.type is not None and (path.type != name or path.id != identifier):
        _mismatch(url, f"the resource is {name}/{identifier}", at, run)


def _mismatch(url: str, what: str, at: At, run: Run) -> None:
    run.report(BASE["bundle-request"], at, f"is {shown(url)}, but {what}", inside=("request", "url"))
