"""The addresses of CDS Hooks, for EHRs: https://cds-hooks.hl7.org/2.0/

Beside `/fhir`, as the specification has them: `/cds-services`, and below it a service for each hook. They are there
only where a setting says so, and this module is loaded only then. What a hook asks is read in `apothecary.safety.hooks`
and answered by what `$detect-issues` answers by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from flask import Flask, request

from apothecary.access.ehr import PATH
from apothecary.errors import NotFound, UnsupportedMediaType
from apothecary.fhir.json import dumps
from apothecary.fhir.references import localise, parse_reference
from apothecary.fhir.temporal import instant, now
from apothecary.interactions.service import Service
from apothecary.interactions.writing import check_writable
from apothecary.operations.detect_issues_detect import detect
from apothecary.operations.detect_issues_statements import TYPE as STATEMENTS
from apothecary.rest.exchange import Exchange, finish
from apothecary.rest.responses import Answer
from apothecary.rest.writing import read_json
from apothecary.safety.cards import SILENCE, cards, statement_mark
from apothecary.safety.feedback import reactions
from apothecary.safety.found import Kind
from apothecary.safety.hooks import SERVICES, HookService, read
from apothecary.search.own import bases
from apothecary.store.feedback import Counted, Feedback, Told
from apothecary.store.sql import SqlStore

# Of what was told most often, so much is shown.
SHOWN = 1000
_JSON = ("application/json", "application/fhir+json")


def register(app: Flask, service: Service, store: SqlStore) -> None:
    """Add the addresses."""
    app.add_url_rule(PATH, "cds-services", lambda: _discovery(service), methods=["GET"])
    app.add_url_rule(f"{PATH}/<name>", "cds-service", lambda name: _asked(service, name), methods=["POST"])
    counted, address = Feedback(store), f"{PATH}/<name>/feedback"
    app.add_url_rule(address, "cds-feedback", lambda name: _told(service, counted, name), methods=["POST"])
    app.add_url_rule(address, "cds-counts", lambda name: _counts(service, counted, name), methods=["GET"])


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
    made = detect(service, service.settings.fhir_version, exchange.base, call.asked)
    return _answer(service, {"cards": cards(made, call.focus, exchange.base)})


def _told(service: Service, counted: Feedback, name: str) -> Answer:
    """https://cds-hooks.hl7.org/2.0/#feedback"""
    hook = found(name)
    exchange = Exchange(service, "/fhir", None, native=True)
    # Whoever may not have a card has nothing to tell of one.
    exchange.service.permit((STATEMENTS,), "s")
    check_writable(exchange.acting)
    moment = now()
    every = Counter(reactions(body(exchange)))
    sums: dict[Told, Counted] = {}
    for one, number in every.items():
        told = Told(one.mark, hook.id, one.outcome, one.system, one.code)
        _, before, commented, _ = sums.get(told, Counted(told, 0, 0, 0))
        sums[told] = Counted(told, before + number, commented + number * one.commented, moment)
    counted.add(sums.values())
    return _answer(service, {})


def _counts(service: Service, counted: Feedback, name: str) -> Answer:
    """What was told of a service's cards, for whoever may see everything: how often which statement was overridden, and
    for which reasons.
    """
    hook = found(name)
    Exchange(service, "/fhir", None, native=True).service.permit_all("rs")
    shown = counted.most(hook.id, SHOWN)
    total, rows = counted.total(hook.id)
    abouts = (*(f"{STATEMENTS}/{one}" for one in counted.ids(STATEMENTS)), *get_args(Kind), SILENCE) if shown else ()
    marks = {statement_mark(one): one for one in abouts}
    listed = [_count(one, marks) for one in shown]
    return _answer(service, {"told": total, "left": rows - len(shown), "feedback": listed})


def _count(one: Counted, marks: Mapping[str, str]) -> dict[str, Any]:
    told = one.told
    made: dict[str, Any] = {"mark": told.mark} if told.mark else {}
    if told.mark in marks:
        made["about"] = marks[told.mark]
    made |= {"outcome": told.outcome}
    if told.code:
        made["reason"] = {"system": told.system, "code": told.code}
    return made | {"count": one.times, "commented": one.commented, "latest": instant(one.latest)}


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
