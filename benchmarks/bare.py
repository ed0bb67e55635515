"""The yardstick: the least that a Flask application can do, a constant answer of 1 kB of JSON, or of another size."""

from __future__ import annotations

from functools import cache

from flask import Flask, Response

_BEFORE, _AFTER = b'{"resourceType":"Medication","id":"constant","text":{"status":"generated","div":"', b'"}}'
BODY = _BEFORE + b"x" * 940 + _AFTER

app = Flask(__name__)


@app.get("/")
def constant() -> Response:
    return Response(BODY, mimetype="application/fhir+json")


@app.get("/<int:size>")
def constant_of(size: int) -> Response:
    return Response(_body(size), mimetype="application/fhir+json")


@cache
def _body(size: int) -> bytes:
    return _BEFORE + b"x" * (size - len(_BEFORE) - len(_AFTER)) + _AFTER
