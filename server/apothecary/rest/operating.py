"""The views of operations, `$name`: https://hl7.org/fhir/R5/operations.html"""

from __future__ import annotations

from flask import request

from apothecary.errors import MethodNotAllowed, NotFound
from apothecary.fhir.json import dumps
from apothecary.operations import OPERATIONS, Call
from apothecary.rest.responses import Answer
from apothecary.rest.views import BaseViews
from apothecary.rest.writing import body
from apothecary.suggestions import or_rather


class OperationViews(BaseViews):
    """The operation views of one base."""

    def operation(self, operation: str, resource_type: str | None = None, resource_id: str | None = None) -> Answer:
        exchange = self.exchange()
        if resource_type is not None:
            self.service.check_type(exchange.written, resource_type)
        level = "instance" if resource_id else "type" if resource_type else "system"
        found = OPERATIONS.get(operation)
        known = (
            f"${name}"
            for name, one in OPERATIONS.items()
            if level in one.levels and (not one.types or resource_type in one.types)
        )
        if found is None or level not in found.levels or (found.types and resource_type not in found.types):
            raise NotFound(
                f"${operation} is not an operation of this {level}{or_rather(f'${operation}', known)}",
                code="not-supported",
                remedy="GET [base]/metadata lists the operations.",
            )
        if request.method == "GET" and found.affects_state:
            raise MethodNotAllowed(f"${operation} changes what is stored, so it is POSTed", headers={"Allow": "POST"})
        # Whether there is a body is seen by reading it: one that comes in chunks does not say how long it is.
        posted = body(exchange) if request.method == "POST" and exchange.body() else None
        call = Call(
            exchange.acting,
            exchange.written,
            exchange.base,
            resource_type,
            resource_id,
            tuple(exchange.pairs),
            posted,
            exchange.version,
            exchange.criteria_header,
            request.headers.get("If-Match"),
            request.headers.get("Accept-Language"),
        )
        answer = dumps(found.run(call))
        return exchange.respond(answer, [], version=found.answer_version(call) if found.answer_version else None)
