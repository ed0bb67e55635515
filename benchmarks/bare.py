"""The yardstick: the least that a Flask application can do, a constant answer of 1 kB of JSON."""

from __future__ import annotations

from flask import Flask, Response

BODY = b'{"resourceType":"Medication","id":"constant","text":{"status":"generated","div":"' + b"x" * 940 + b'"}}'

app = Flask(__name__)


@app.get("/")
def constant() -> Response:
    return Response(BODY, mimetype="application/fhir+json")
