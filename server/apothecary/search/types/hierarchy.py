"""`:in`, `:not-in`, `:above` and `:below` on tokens: https://hl7.org/fhir/R5/search.html#modifiers

The first two take a value set, the others a code with its system. What a code subsumes is said by the code system, or
by the way its codes are written (an NDC of a package holds that of its product, `text/xml` is above
`text/xml; charset=utf-8`: https://hl7.org/fhir/R5/search.html#modifierbelow).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from apothecary.errors import NotEnumerable, NotSupported, UnknownTerminology
from apothecary.fhir.code_forms import FORMS
from apothecary.search.normalisation import FOLDED, NOTATIONS
from apothecary.search.predicates import Compare, Every, Nothing, Predicate, Row, any_of
from apothecary.search.terminology import Terminology
from apothecary.search.text import key, split, unescape
from apothecary.search.types.base import Request

# The system of media types: https://www.rfc-editor.org/info/bcp13
MIME_TYPES = "urn:ietf:bcp:13"
_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+*-]*(?:\s*;.*)?")

Codes = Mapping[str, tuple[str, ...]]


def predicate(parameter: str, modifier: str, text: str, request: Request) -> Predicate:
    """Raises ValueError for a value that names no value set or code, UnknownTerminology and NotEnumerable."""
    if modifier in ("in", "not-in"):
        return _any_code(parameter, _held(request).members(unescape(text)))
    parts = [unescape(part) for part in split(text, "|")]
    if "code" in request.elements and parts[0] in (parts[-1], MIME_TYPES) and _MIME_TYPE.fullmatch(parts[-1]):
        return _media(parameter, modifier, parts[0] if len(parts) == 2 else None, parts[-1])
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"{text!r}: :{modifier} needs system|code, for a code alone does not say where it stands")
    system, code = parts
    notation = NOTATIONS.get(system)
    if notation is not None:
        where = notation.below(code) if modifier == "below" else notation.above(code)
        if not where:
            raise ValueError(f"{code!r} is not written as a code of {system}")
        return any_of([Row("token", parameter, _beginning(system, one)) for one in where])
    by_form = _by_form(parameter, modifier, system, code, request)
    if by_form is not None:
        return by_form
    held = _held(request)
    return _any_code(parameter, held.below(system, code) if modifier == "below" else held.above(system, code))


def _by_form(parameter: str, modifier: str, system: str, code: str, request: Request) -> Predicate | None:
    """What the form of a code says of its hierarchy, held or not, and what a code system that is held says besides;
    None for a code without such a form.
    """
    form, systems = FORMS.get(system), request.systems
    if form is not None and not form.fits(code) and not systems.sensitive(system):
        code = code.upper()
    if form is None or not form.fits(code):
        return None
    listed = dict.fromkeys(systems.all_forms(system, [code] if modifier == "below" else [code, *form.above(code)]))
    if request.terminology is not None:
        relatives = request.terminology.below if modifier == "below" else request.terminology.above
        with suppress(UnknownTerminology, NotEnumerable):
            listed.update(dict.fromkeys(relatives(system, code).get(system, ())))
    where = [Compare("code", "in", tuple(listed))]
    if modifier == "below":
        where += [Compare("code", "prefix", systems.beginning(system, one)) for one in form.below(code)]
    return any_of([Row("token", parameter, _beginning(system, one)) for one in where])


def _media(parameter: str, modifier: str, system: str | None, kind: str) -> Predicate:
    """Media types that are `kind` with parameters or without, or that `kind` is: their form says what they are below.
    `text/` and `text/*` stand for all of their kind.
    """
    kind = kind.casefold().removesuffix("*")
    whole = kind.partition(";")[0].rstrip()
    exact = [kind] if modifier == "below" else [kind, whole]
    further: Sequence[str] = ()
    if modifier == "below" and ";" not in kind:
        further = ("",) if kind.endswith("/") else (";", " ;")
    where = [Compare("code", "=", key(FOLDED + one)) for one in dict.fromkeys(exact)]
    where += [Compare("code", "prefix", key(f"{FOLDED}{kind}{one}")) for one in further]
    return any_of([Row("token", parameter, of_system(system, one) if system else one) for one in where])


def _beginning(system: str, code: Compare) -> Every:
    """A condition on the code, and that it is of `system`. Where codes begin alike that are few of the many that the
    system has, the system is said so that no index of all its codes is read for them.
    """
    if code.operator != "prefix":
        return of_system(system, code)
    return Every((code, Compare("system", ">=", key(system)), Compare("system", "<=", key(system))))


def of_system(system: str, code: Compare) -> Every:
    """A condition on the code, and that it is of `system`."""
    return Every((code, Compare("system", "=", key(system))))


def _any_code(parameter: str, codes: Codes) -> Predicate:
    """One list a system: the statement is the same for lists of any length."""
    rows = [Row("token", parameter, of_system(system, Compare("code", "in", found))) for system, found in codes.items()]
    return any_of([*rows]) if rows else Nothing()


def _held(request: Request) -> Terminology:
    if request.terminology is None:
        raise NotSupported("there are no value sets and code systems to look into here")
    return request.terminology
