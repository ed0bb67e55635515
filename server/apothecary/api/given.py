"""A resource as a caller has it at hand: https://hl7.org/fhir/R5/resource-formats.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.content.documents import Document, PlacedIssue, RecordedPositions, reading_issue
from apothecary.content.read import format_of, read_bytes
from apothecary.content.version_hints import hinted_in_text, hinted_version
from apothecary.errors import BadRequest, InvalidContent
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion, parse_version

Given = Mapping[str, Any] | bytes | str
"""A resource: parsed JSON, or its text as JSON, YAML or FHIR XML."""


def release(given: FhirVersion | str | None, name: str = "release") -> FhirVersion | None:
    """The FHIR release that the caller names: `R4B`, `4.3` or `4.3.0`. Raises BadRequest for any other text."""
    found = parse_version(given) if given is not None else None
    if given is not None and found is None:
        raise BadRequest(f"{name}={given!r}: write R4, R4B or R5", expression=name, code="value")
    return found


def document(resource: Given, version: FhirVersion | None = None) -> Document:
    """`resource` as it is read, with what is wrong with its text. Raises TypeError for what cannot be a resource."""
    if not isinstance(resource, Mapping | bytes | str):
        raise TypeError(f"a resource is a dict, or its text as bytes or str, and not {type(resource).__name__}")
    try:
        text = resource if isinstance(resource, bytes) else _text(resource)
    except RecursionError:
        return _unreadable("too-deep", "The resource is nested too deeply, or contains itself.")
    except ValueError:
        return _unreadable("lone-surrogate", "A string holds half of a surrogate pair, which is not Unicode text.")
    form = "json" if isinstance(resource, Mapping) else format_of(text)
    return read_bytes("", text, form, version or hinted_in_text(text) or FhirVersion.R5)


def _text(resource: Mapping[str, Any] | str) -> bytes:
    return resource.encode() if isinstance(resource, str) else dumps(dict(resource))


def said(one: PlacedIssue) -> str:
    """What is wrong with a text, with the place where there is one."""
    place = f"Line {one.line}, column {one.column}: " if one.line else ""
    return f"{place}{one.issue.diagnostics}"


def _unreadable(rule: str, diagnostics: str) -> Document:
    issue = PlacedIssue(reading_issue(rule, diagnostics), 0, 0)  # there is no text to point into
    return Document("", "", "json", None, RecordedPositions({}), (issue,), readable=False)


def resource_in(resource: Given, version: FhirVersion | None) -> tuple[JSON, FhirVersion]:
    """`resource` and its release: `version`, or else the one that it claims, or else R5.

    Raises InvalidContent where its text cannot be read, or is no object with a resourceType.
    """
    read = document(resource, version)
    wrong = [one for one in read.issues if one.issue.severity in ("fatal", "error")]
    if wrong:
        raise InvalidContent(said(wrong[0]), issues=(one.issue for one in wrong))
    if not isinstance(read.value, dict) or not isinstance(read.value.get("resourceType"), str):
        raise InvalidContent("a resource is an object with a resourceType", expression="resourceType")
    return read.value, version or hinted_version(read.value) or FhirVersion.R5
