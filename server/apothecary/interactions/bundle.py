"""Bundles put together from stored bytes, without parsing them: https://hl7.org/fhir/R5/bundle.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec

from apothecary.errors import Issue
from apothecary.fhir.temporal import instant
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.store.contract import LOADED, Past

_text = msgspec.json.Encoder().encode

STATUS = {"POST": "201 Created", "PUT": "200 OK", "PATCH": "200 OK", "DELETE": "204 No Content"}


def address(base: str, path: str | None, pairs: Sequence[tuple[str, str]]) -> str:
    """What a link of a Bundle points to: `path` under `base`, the base itself without one, with its parameters. Commas,
    colons and stars stay readable; all that no URI may hold is percent-encoded (RFC 3986, 3.4), bars among it.
    """
    url = f"{base}/{path}" if path else base
    return f"{url}?{urlencode(pairs, quote_via=quote, safe=',:/$*')}" if pairs else url


def link(relation: str, url: str) -> bytes:
    """One element of `Bundle.link`."""
    return b'{"relation":"%b","url":%b}' % (relation.encode(), _text(url))


_ENDS = {mode: b',"search":{"mode":"%b"}}' % mode.encode() for mode in ("match", "include")}


def opening(base: str, resource_type: str) -> bytes:
    """What the entries of a searchset begin with that hold resources of a type, up to their ids."""
    return f'{{"fullUrl":"{base}/{resource_type}/'.encode()


def match(opening: bytes, identity: str, body: bytes, mode: str = "match", score: int | None = None) -> bytes:
    """An entry of a searchset. `identity` (an id, of a contained resource with `#` and its id behind) needs no
    escaping; `score` is in millionths.
    """
    end = _ENDS[mode] if score is None else b',"search":{"mode":"match","score":%g}}' % (score / 1_000_000)
    # Put together in one step: what is formatted is copied as it grows.
    return b"".join((opening, identity.encode(), b'","resource":', body, end))


def outcome(issues: Iterable[Issue]) -> bytes:
    """The entry of a searchset that carries an OperationOutcome beside the matches."""
    return b'{"resource":%b,"search":{"mode":"outcome"}}' % _text(operation_outcome(issues))


# No history tells of a PATCH (bdl-14), or of what no client sent: the entry shows what a PUT would have brought about.
_SHOWN = {"PATCH": "PUT", LOADED: "PUT"}


def past(base: str, one: Past, body: bytes | None) -> bytes:
    """An entry of a history; `body` is None for a deletion. https://hl7.org/fhir/R5/bundle.html#history"""
    created = one.method == "POST"
    url = one.type if created else f"{one.type}/{one.id}"
    # The first version by PUT was an update as create.
    method = _SHOWN.get(one.method, one.method)
    status = STATUS["POST"] if one.version == 1 else STATUS[method]
    parts = [b'{"fullUrl":%b' % _text(f"{base}/{one.type}/{one.id}")]
    if body is not None:
        parts.append(b',"resource":%b' % body)
    parts.append(b',"request":{"method":"%b","url":%b}' % (method.encode(), _text(url)))
    parts.append(
        b',"response":{"status":"%b","etag":"W/\\"%d\\"","lastModified":"%b"}}'
        % (status.encode(), one.version, instant(one.updated).encode())
    )
    return b"".join(parts)


def bundle(
    kind: str,
    links: Sequence[bytes],
    entries: Sequence[bytes],
    total: int | None,
    issues: Sequence[Issue] = (),
    tags: Sequence[Mapping[str, str]] = (),
) -> bytes:
    """A whole Bundle; `entry` is left out when there is none, because FHIR has no empty arrays. `issues` are about the
    Bundle itself, from R5 on: https://hl7.org/fhir/R5/bundle-definitions.html#Bundle.issues
    """
    parts = [b'{"resourceType":"Bundle"']
    if tags:
        parts.append(b',"meta":{"tag":%b}' % _text(tags))
    parts.append(b',"type":"%b"' % kind.encode())
    if total is not None:
        parts.append(b',"total":%d' % total)
    if links:
        parts.append(b',"link":[%b]' % b",".join(links))
    if entries:
        parts += (b',"entry":[', b",".join(entries), b"]")
    if issues:
        parts.append(b',"issues":%b' % _text(operation_outcome(issues)))
    parts.append(b"}")
    return b"".join(parts)
