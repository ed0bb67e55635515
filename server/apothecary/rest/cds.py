"""The addresses of CDS Hooks, for EHRs: https://cds-hooks.hl7.org/2.0/

Beside `/fhir`, as the specification has them: `/cds-services`, and below it a service for each hook. They are there
only where a setting says so, and this module is loaded only then. What a hook asks is read in `apothecary.safety.hooks`
and answered by what `$detect-issues` answers by.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask, request

from apothecary.access.ehr import PATH
from apothecary.errors import NotFound, UnsupportedMediaType
from apothecary.fhir.json import dumps
from apothecary.fhir.references import localise, parse_reference
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.operations.detect_issues_detect import detect
from apothecary.rest.exchange import Exchange, finish
from apothecary.rest.responses import Answer
from apothecary.rest.writing import read_json
from apothecary.safety.cards import cards
from apothecary.safety.hooks import SERVICES, HookService, read
from apothecary.search.own import bases

_JSON = ("application/json", "application/fhir+json")


def register(app: Flask, service: Service) -> None:
    """Add the addresses."""
    app.add_url_rule(PATH, "cds-services", lambda: _discovery(service), methods=["GET"])
    app.add_url_rule(f"{PATH}/<name>", "cds-service", lambda name: _asked(service, name), methods=["POST"])


def _discovery(service: Service) -> Answer:
    """https://cds-hooks.hl7.org/2.0/#discovery"""
    return _answer(service, {"services": [one.discovered() for one in SERVICES.values()]})


def _asked(service: Service, name: str) -> Answer:
    """https://cds-hooks.hl7.org/2.0/#calling-a-cds-service"""
    hook = found(name)
    exchange = Exchange(service, "/fhir", None, native=True)
    service = exchange.noted
    given = body(exchange)
    today = datetime.fromtimestamp(now() / 1_000_000, UTC).date()
    call = read(hook, given, _local(exchange), today, service.settings.detect_issues_limit)
    if not call.focus and not (call.asked.not_understood or call.asked.drugs):
        # Orders of other kinds alone: there is nothing to say, and nothing that was missed.
        return _answer(service, {"cards": []})
    # What the asker may see, and no more.
    made = detect(exchange.service, service.settings.fhir_version, exchange.base, call.asked)
    return _answer(service, {"cards": cards(made, call.focus, exchange.base)})


def found(name: str) -> HookService:
    """The service of an id. Raises NotFound."""
    hook = SERVICES.get(name)
    if hook is None:
        raise NotFound(f"there is no CDS service {name[:100]}", remedy=f"GET {PATH} lists them: {', '.join(SERVICES)}.")
    return hook


def body(exchange: Exchange) -> Any:
    """What an EHR sends. Raises UnsupportedMediaType, and InvalidContent where it is no JSON."""
    if request.mimetype not in _JSON:
        raise UnsupportedMediaType(f"the body is {_JSON[0]}", remedy="Say so in Content-Type.")
    return read_json(exchange.body())


def _local(exchange: Exchange) -> Callable[[str], str]:
    own = bases(exchange.service.settings, exchange.base)

    def local(literal: str) -> str:
        reference = parse_reference(localise(literal, own))
        return f"{reference.type}/{reference.id}" if reference.relative else ""

    return local


def _answer(service: Service, value: dict[str, Any], status: int = 200) -> Answer:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return finish(service, request.environ, Answer(dumps(value), status, headers))
