"""Utility functions (https://hl7.org/fhirpath/N1/#utility-functions, https://hl7.org/fhirpath/#utility-functions)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from apothecary.validation.fhirpath.closures import SYSTEM_VARIABLES
from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items, Node, system_type
from apothecary.validation.fhirpath.operators import single, truth
from apothecary.validation.fhirpath.temporal import Temporal
from apothecary.validation.fhirpath.values import TypeInfo


def _iif(condition: Compiled, then: Compiled, otherwise: Compiled | None = None) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        if len(items) > 1:
            raise FhirPathError("iif() needs one item")
        if truth(condition(items, env)) is True:
            return then(items, env)
        return otherwise(items, env) if otherwise is not None else []

    return call


def _trace(name: Compiled, projection: Compiled | None = None) -> Call:
    # trace() shows its input to whoever debugs an expression; here nobody does.
    return lambda items, this, env: items


def _define_variable(name: Compiled, value: Compiled | None = None) -> Call:
    # https://hl7.org/fhirpath/#definevariablename-string--expr-expression
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = single(name(this, env))
        if not isinstance(wanted, str):
            raise FhirPathError("a variable needs a name")
        if wanted in SYSTEM_VARIABLES or wanted in env.variables:
            raise FhirPathError(f"the variable %{wanted} is defined already")
        # Anew, because whoever is outside keeps the variables that it has.
        env.budget.spend(1 + len(env.variables))
        env.variables = {**env.variables, wanted: items if value is None else value(items, env)}
        return items

    return call


def _type() -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        return [
            TypeInfo("FHIR", item.type) if isinstance(item, Node) else TypeInfo("System", system_type(item))
            for item in items
        ]

    return call


def _moment(env: Environment) -> datetime:
    """Now, the same for a whole evaluation."""
    if env.moment is None:
        env.moment = datetime.now().astimezone()
    return env.moment


def _now(env: Environment) -> Temporal:
    now, today = _moment(env), _today(env)
    offset = now.utcoffset()
    zone = 0 if offset is None else int(offset.total_seconds()) // 60
    return Temporal("DateTime", (*today.parts, *_time(env).parts), zone, 3)


def _today(env: Environment) -> Temporal:
    now = _moment(env)
    return Temporal("Date", (now.year, now.month, now.day))


def _time(env: Environment) -> Temporal:
    now = _moment(env)
    second = Decimal(now.second) + Decimal(now.microsecond // 1000) / 1000
    return Temporal("Time", (now.hour, now.minute, second), None, 3)


def _clock(read: Any) -> Offered:
    return Offered(lambda: lambda items, this, env: [read(env)])


FUNCTIONS = {
    "defineVariable": Offered(_define_variable, 1, 2),
    "iif": Offered(_iif, 2, 3),
    "now": _clock(_now),
    "timeOfDay": _clock(_time),
    "today": _clock(_today),
    "trace": Offered(_trace, 1, 2),
    "type": Offered(_type),
}
