"""Which resources an answer holds: read off its own text, so that none can be forgotten by whoever made it.

A resource is named as `Type/id/_history/version` (https://hl7.org/fhir/R5/references.html#literal), a contained one by
its container and its own id behind `#`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class _Meta(msgspec.Struct):
    versionId: str = ""


class _Response(msgspec.Struct):
    etag: str = ""


class _Entry(msgspec.Struct):
    fullUrl: str = ""
    resource: _Resource | None = None
    request: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None


class _Parameter(msgspec.Struct):
    resource: _Resource | None = None
    part: list[_Parameter] = []


class _Resource(msgspec.Struct):
    resourceType: str = ""
    id: str = ""
    meta: _Meta | None = None
    entry: msgspec.Raw = msgspec.Raw()
    parameter: msgspec.Raw = msgspec.Raw()


_RESOURCE = msgspec.json.Decoder(_Resource)
_ENTRIES = msgspec.json.Decoder(list[_Entry])
_PARAMETERS = msgspec.json.Decoder(list[_Parameter])


def named(body: bytes) -> list[str]:
    """The resources in `body`, a resource as JSON, once each, in order. Raises msgspec.DecodeError for other text."""
    return list(dict.fromkeys(_of(_RESOURCE.decode(body)))) if body else []


def _of(resource: _Resource) -> Iterator[str]:
    version = resource.meta.versionId if resource.meta is not None else ""
    if resource.id:
        yield reference(resource.resourceType, resource.id, version)
    if version:
        # What is stored is one resource, whatever is in it.
        return
    if resource.resourceType == "Bundle" and resource.entry:
        for entry in _ENTRIES.decode(resource.entry):
            yield from _of_entry(entry)
    elif resource.resourceType == "Parameters" and resource.parameter:
        yield from _of_parameters(_PARAMETERS.decode(resource.parameter))


def _of_entry(entry: _Entry) -> Iterator[str]:
    place = "/".join(entry.fullUrl.split("/")[-2:])
    if "#" in place:
        yield place
    elif entry.resource is not None:
        yield from _of(entry.resource)
    elif entry.request and entry.response is not None:
        # A deletion in a history has no resource: https://hl7.org/fhir/R5/http.html#history
        kind, _, identity = place.partition("/")
        yield reference(kind, identity, entry.response.etag.removeprefix('W/"').removesuffix('"'))


def _of_parameters(parameters: list[_Parameter]) -> Iterator[str]:
    for one in parameters:
        if one.resource is not None:
            yield from _of(one.resource)
        yield from _of_parameters(one.part)


def reference(resource_type: str, resource_id: str, version: int | str = "") -> str:
    """What a record calls a version of a resource."""
    return f"{resource_type}/{resource_id}{f'/_history/{version}' if version else ''}"
