"""What an EHR tells of cards is understood as the page has it, or refused as a whole with its place.

https://cds-hooks.hl7.org/2.0/#feedback
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.errors import BadRequest
from apothecary.safety.cards import SILENCE, statement_mark
from apothecary.safety.feedback import MOST, Reaction, reactions

MARK = statement_mark(SILENCE)
CARD = f"{MARK[:8]}-{MARK[8:]}-8aaa-93ea-547cebab93ed"
REASON = {"code": "d7ecf885", "system": "https://example.com/cds-hooks/override-reason-system"}


def told(**others: Any) -> dict[str, Any]:
    first = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2020-12-11T00:00:00Z"}
    return {name: value for name, value in (first | others).items() if value != "left out"}


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        # The page's examples.
        (
            told(outcome="accepted", acceptedSuggestions=[{"id": "e56e1945-20b3-4393-8503-a1a20fd73152"}]),
            Reaction(MARK, "accepted"),
        ),
        (told(), Reaction(MARK, "overridden")),
        (
            told(overrideReason={"reason": REASON, "userComment": "A comment entered by the clinician."}),
            Reaction(MARK, "overridden", REASON["system"], REASON["code"], commented=True),
        ),
        # And others.
        (told(overrideReason={"userComment": "why"}), Reaction(MARK, "overridden", commented=True)),
        (told(overrideReason={"reason": REASON | {"display": "So"}, "userComment": ""}),
         Reaction(MARK, "overridden", REASON["system"], REASON["code"])),
        (told(overrideReason=None, acceptedSuggestions=[]), Reaction(MARK, "overridden")),
        (told(card=CARD.upper(), outcomeTimestamp="2020-12-11T01:00:00.123+01:00"), Reaction(MARK, "overridden")),
        (told(extension={"com.example": 1}), Reaction(MARK, "overridden")),
        # No card of this server.
        (told(card="9368d37b-283f-44a0-93ea-547cebab93ed"), Reaction("", "overridden")),
    ],
)  # fmt: skip
def test_what_became_of_a_card_is_understood(entry: dict[str, Any], found: Reaction) -> None:
    assert reactions({"feedback": [entry, entry]}) == [found, found]


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        ([], None),
        ({}, "feedback"),
        ({"feedback": []}, "feedback"),
        ({"feedback": told()}, "feedback"),
        ({"feedback": [told()] * (MOST + 1)}, "feedback"),
        ({"feedback": [told(), "x"]}, "feedback[1]"),
        *(
            ({"feedback": [told(), told(**{name: value})]}, f"feedback[1].{name}{inner}")
            for name, value, inner in (
                *(
                    (("card", value, ""))
                    for value in ("left out", None, 1, "", "x" * 36, CARD + "0", f"urn:uuid:{CARD}")
                ),
                *((("outcome", value, "")) for value in ("left out", "ignored", ["accepted"], {})),
                *(
                    ("outcomeTimestamp", value, "")
                    for value in (
                        "left out",
                        1,
                        "yesterday",
                        "2020-12-11",
                        "2020-12-11T00:00:00",
                        "2020-13-11T00:00:00Z",
                    )
                ),
                *((("acceptedSuggestions", value, "")) for value in ("x", {})),
                ("acceptedSuggestions", ["x"], "[0]"),
                ("acceptedSuggestions", [{"id": 1}], "[0].id"),
                ("overrideReason", "x", ""),
                ("overrideReason", {"userComment": 1}, ".userComment"),
                ("overrideReason", {"reason": "1"}, ".reason"),
                ("overrideReason", {"reason": {"code": "1"}}, ".reason.system"),
                ("overrideReason", {"reason": REASON | {"code": "x" * 201}}, ".reason.code"),
                ("overrideReason", {"reason": REASON | {"system": ""}}, ".reason.system"),
            )
        ),
        *(
            ({"feedback": [told(outcome="accepted", acceptedSuggestions=value)]}, "feedback[0].acceptedSuggestions")
            for value in ("left out", [])
        ),
    ],
)
def test_what_is_wrong_is_refused_as_a_whole_with_its_place(request_: Any, place: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        reactions(request_)
    assert refused.value.issues[0].expression == ((place,) if place else ())


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_PLACES = (
    *(("feedback",), ("feedback", 0), ("feedback", 0, "card"), ("feedback", 0, "outcome")),
    *(("feedback", 0, "outcomeTimestamp"), ("feedback", 0, "acceptedSuggestions"), ("feedback", 0, "overrideReason")),
    *(("feedback", 0, "overrideReason", "reason"), ("feedback", 0, "overrideReason", "userComment")),
    *(("feedback", 0, "overrideReason", "reason", name) for name in REASON),
)


@given(place=st.sampled_from(_PLACES), value=_ANY)
def test_whatever_an_ehr_sends_is_understood_or_refused(place: tuple[str | int, ...], value: Any) -> None:
    request: Any = {"feedback": [told(overrideReason={"reason": dict(REASON), "userComment": "why"})]}
    node = request
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    try:
        (found,) = reactions(request)
    except BadRequest:
        return
    assert found.outcome in ("accepted", "overridden")
    assert len(found.mark) in (0, 12)
    assert len(found.system) <= 500
    assert len(found.code) <= 200
