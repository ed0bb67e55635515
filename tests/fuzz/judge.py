"""What must be true of every answer, whatever was asked."""

from __future__ import annotations

import json
import re
from typing import Any

from apothecary.content.documents import Format
from apothecary.content.read import read_bytes
from tests.conformance.harness import Answer
from tests.fuzz.wire import Request

# Busy, or full: https://hl7.org/fhir/R5/http.html#Status-Codes
SAID_IN_TIME = (503, 507)
_FHIR_JSON = "application/fhir+json"
_FORMS: dict[str, Format] = {_FHIR_JSON: "json", "application/fhir+xml": "xml", "application/fhir+yaml": "yaml"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def fault(request: Request, answer: Answer) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if answer.status >= 500 and answer.status not in SAID_IN_TIME:
        return f"status {answer.status}"
    if answer.status in (204, 304) or request.method == "HEAD":
        return "a body where there can be none" if answer.body else None
    kind = answer.headers.get("content-type", "")
    if "gzip" in answer.headers.get("content-encoding", ""):
        return None
    if answer.status >= 400:
        return None if _is_beneath_http(request, answer) else _outcome(kind, answer)
    if answer.status >= 300:
        return f"status {answer.status}"
    if "/Binary/" in request.target:
        # What somebody stored, under the type that they gave it.
        return None
    return _content(kind, answer, is_run=request.method == "POST" and request.target.count("/") <= 2)


def _is_beneath_http(request: Request, answer: Answer) -> bool:
    """Whether the HTTP server itself refused what is no HTTP, before there was a request to answer."""
    return answer.status in (400, 414, 431) and not answer.body and "content-type" not in answer.headers


def _outcome(kind: str, answer: Answer) -> str | None:
    if kind.startswith("text/html"):
        issues = re.search(rb'<ul class="issues"><li class="\w+"><b>\w+</b>: .', answer.body)
        return None if issues is not None else "a page of an error that says nothing"
    form = next((form for start, form in _FORMS.items() if kind.startswith(start)), None)
    if form is None:
        return f"an error of the media type {kind!r}"
    found = _parsed(answer.body) if form == "json" else read_bytes("answer", answer.body, form).value
    if not isinstance(found, dict) or found.get("resourceType") != "OperationOutcome" or not found.get("issue"):
        return "an error without an OperationOutcome"
    for issue in found["issue"]:
        if not issue.get("severity") or not issue.get("code") or not issue.get("details", {}).get("text"):
            return "an issue that says nothing"
    return None


def _content(kind: str, answer: Answer, *, is_run: bool) -> str | None:
    """`is_run`: whether a Bundle says what became of a batch, and is not one that somebody stored."""
    if not kind.startswith(_FHIR_JSON):
        return None
    if not answer.body:
        return None
    found = _parsed(answer.body)
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        return "FHIR that is no resource"
    if is_run and found["resourceType"] == "Bundle":
        return _entries(found)
    return None


def _entries(bundle: dict[str, Any]) -> str | None:
    for entry in bundle.get("entry", ()):
        status = entry.get("response", {}).get("status", "200") if isinstance(entry, dict) else ""
        code = int(status[:3]) if status[:3].isdigit() else 999
        if code >= 500 and code not in SAID_IN_TIME:
            return f"an entry of status {status!r}"
        if code >= 400 and entry["response"].get("outcome", {}).get("resourceType") != "OperationOutcome":
            return "an entry that failed without an OperationOutcome"
    return None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
