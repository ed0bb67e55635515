"""What an EHR tells of the cards that it showed: https://cds-hooks.hl7.org/2.0/#feedback"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apothecary.errors import BadRequest
from apothecary.fhir.json import JSON
from apothecary.safety.cards import mark_of

# So much may be told at once; the longest code, and the longest address of its system.
MOST, LONGEST, SYSTEM = 1000, 200, 500
OUTCOMES = ("accepted", "overridden")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What became of a card. `mark` is that of its statement, empty where no card of this server has such a UUID;
    `system` and `code` are the reason, empty where none is given. What a comment says is not kept: it may be about a
    patient, of whom nothing is kept here.
    """

    mark: str
    outcome: str
    system: str = ""
    code: str = ""
    commented: bool = False


def reactions(request: Any) -> list[Reaction]:
    """What a request tells. Raises BadRequest with the place of what is wrong; then nothing of it counts."""
    if not isinstance(request, dict):
        raise BadRequest("the request is no JSON object")
    told = request.get("feedback")
    if not isinstance(told, list) or not told:
        raise BadRequest("feedback is an array of what became of cards", expression="feedback", code="required")
    if len(told) > MOST:
        raise BadRequest(f"feedback has more than {MOST} entries", expression="feedback", code="too-long")
    return [_reaction(one, f"feedback[{number}]") for number, one in enumerate(told)]


def _reaction(one: Any, where: str) -> Reaction:
    one = _object(one, where)
    card = one.get("card")
    if not isinstance(card, str) or not _UUID.fullmatch(card):
        raise _wrong("is the uuid of a card", f"{where}.card")
    outcome = one.get("outcome")
    if outcome not in OUTCOMES:
        raise _wrong(f"is {' or '.join(OUTCOMES)}", f"{where}.outcome")
    _check_time(one.get("outcomeTimestamp"), f"{where}.outcomeTimestamp")
    _check_accepted(one.get("acceptedSuggestions"), f"{where}.acceptedSuggestions", needed=outcome == "accepted")
    mark = mark_of(card)
    given = one.get("overrideReason")
    if given is None:
        return Reaction(mark, outcome)
    at = f"{where}.overrideReason"
    override = _object(given, at)
    comment = override.get("userComment")
    if comment is not None and not isinstance(comment, str):
        raise _wrong("is a text", f"{at}.userComment")
    reason = override.get("reason")
    if reason is None:
        return Reaction(mark, outcome, commented=bool(comment))
    coding = _object(reason, f"{at}.reason")
    system = _text(coding.get("system"), SYSTEM, f"{at}.reason.system")
    code = _text(coding.get("code"), LONGEST, f"{at}.reason.code")
    return Reaction(mark, outcome, system, code, commented=bool(comment))


def _check_time(given: Any, where: str) -> None:
    try:
        known = isinstance(given, str) and len(given) <= LONGEST and datetime.fromisoformat(given).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise _wrong("is a time with its time zone, such as 2020-12-11T00:00:00Z", where)


def _check_accepted(given: Any, where: str, *, needed: bool) -> None:
    if given is None and not needed:
        return
    if not isinstance(given, list) or (needed and not given):
        raise _wrong("is an array of the suggestions that were accepted", where)
    for number, one in enumerate(given):
        if not isinstance(_object(one, f"{where}[{number}]").get("id"), str):
            raise _wrong("is the uuid of a suggestion", f"{where}[{number}].id")


def _object(given: Any, where: str) -> JSON:
    if not isinstance(given, dict):
        raise BadRequest(f"{where} is a JSON object", expression=where, code="structure")
    return given


def _text(given: Any, longest: int, where: str) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= longest:
        raise _wrong(f"is a text of 1 to {longest} characters", where)
    return given


def _wrong(what: str, where: str) -> BadRequest:
    return BadRequest(f"{where} {what}", expression=where, code="value")
