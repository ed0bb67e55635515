"""The views of operations, `$name`: https://hl7.org/fhir/R5/operations.html"""

from __future__ import annotations

from flask import request

from apothecary.fhir.json import dumps
from apothecary.interactions import operating
from apothecary.operations import OPERATIONS, Call
from apothecary.rest.forms import HTML
from apothecary.rest.responses import Answer
from apothecary.rest.views import BaseViews
from apothecary.rest.writing import body


class OperationViews(BaseViews):
    """The operation views of one base."""

    def operation(self, operation: str, resource_type: str | None = None, resource_id: str | None = None) -> Answer:
        exchange = self.exchange()
        operating.operation(self.service, exchange.written, operation, resource_type, resource_id, request.method)
        found = OPERATIONS[operation]
        # What is left empty in a page's form was not given.
        pairs = [one for one in exchange.pairs if one[1] or exchange.wanted.form is not HTML]
        # Whether there is a body is seen by reading it: one that comes in chunks does not say how long it is.
        posted = body(exchange) if request.method == "POST" and exchange.body() else None
        call = Call(
            exchange.acting,
            exchange.written,
            exchange.base,
            resource_type,
            resource_id,
            tuple(pairs),
            posted,
            exchange.version,
            exchange.criteria_header,
            request.headers.get("If-Match"),
            request.headers.get("Accept-Language"),
        )
        answer = dumps(found.run(call))
        return exchange.respond(answer, [], version=found.answer_version(call) if found.answer_version else None)
