"""Binary: content that goes in and out in its own type, without FHIR around it.

https://hl7.org/fhir/R5/binary.html, where it says how these resources are served over REST. R4 and R4B say the same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from apothecary.errors import UnsupportedMediaType
from apothecary.fhir.json import JSON, parse
from apothecary.rest.negotiation import media_type

TYPE = "Binary"
CONTEXT = "X-Security-Context"
# Who asks for one of these wants the resource. Plain XML is none of them: documents that are XML are asked for so.
_FHIR = frozenset(
    {
        *("application/fhir+json", "application/json", "text/json", "application/json+fhir"),
        *("application/fhir+xml", "application/xml+fhir", "application/fhir+turtle"),
    }
)
_FHIR_XML = frozenset({"application/fhir+xml", "application/xml+fhir"})
_BINARY_IN_XML = re.compile(rb"\s*(?:<[?!][^>]*>\s*)*<(?:[\w.-]+:)?Binary[\s/>]")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 (a token of RFC 9110)
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}\s*(?:;[ -~]*)?")
_IN_HEADERS = re.compile(r"[!-~]+")
_UNKNOWN = "application/octet-stream"
# A browser saves it: whatever somebody stored is not shown as if it were this server's. `headers` does the rest.
_HARMLESS = ("Content-Disposition", "attachment")


def wants_content(accept: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a request wants the content and not the resource: by `_format`, `_summary` and `_elements`, which are
    about resources, or else by what `Accept` prefers.
    """
    if not parameters.keys().isdisjoint(("_format", "_summary", "_elements")):
        return False
    best, fhir = 0.0, False
    for one in accept.split(","):
        kind, more = media_type(one)
        try:
            quality = float(more.get("q", "1"))
        except ValueError:
            continue
        if kind and quality > best:
            best, fhir = quality, kind in _FHIR
    return not fhir


def content(resource: JSON) -> tuple[bytes, list[tuple[str, str]]]:
    """The content of a Binary, and the headers that say what it is."""
    kind = resource.get("contentType", "")
    headers = [("Content-Type", kind if _MEDIA_TYPE.fullmatch(kind) else _UNKNOWN), _HARMLESS]
    context = resource.get("securityContext", {}).get("reference", "")
    if _IN_HEADERS.fullmatch(context):
        headers.append((CONTEXT, context))
    return base64.b64decode(resource.get("data", "")), headers


def wrapped(content_type: str, body: bytes, context: str | None) -> JSON | None:
    """The Binary whose content was sent; None where the body is a resource. FHIR in any form is content too, but for a
    Binary. Raises UnsupportedMediaType for a Content-Type that is none.
    """
    kind = media_type(content_type)[0]
    if (kind in _FHIR and not body.strip()) or _is_binary(kind, body):
        return None
    content_type = content_type.strip() or _UNKNOWN
    if _MEDIA_TYPE.fullmatch(content_type) is None:
        raise UnsupportedMediaType(
            f"Content-Type: {content_type} is no media type",
            expression="Content-Type",
            remedy="Write type/subtype, such as application/pdf.",
        )
    resource: JSON = {"resourceType": TYPE, "contentType": content_type}
    if context:
        resource["securityContext"] = {"reference": context}
    if body:
        resource["data"] = base64.b64encode(body).decode()
    return resource


def _is_binary(kind: str, body: bytes) -> bool:
    if kind in _FHIR_XML:
        return _BINARY_IN_XML.match(body) is not None
    if kind not in _FHIR or b"Binary" not in body:
        return False
    try:
        found = parse(body)
    except ValueError:
        # What is meant for a resource and broken is told so, and not stored.
        return True
    return isinstance(found, dict) and found.get("resourceType") == TYPE
