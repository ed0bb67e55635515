"""Scopes as text, and what two lists of them have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apothecary.access.scopes import PERMISSIONS, Permission, Scope, Scopes

TYPES = ("Medication", "MedicationKnowledge", "Organization")


def parsed(text: str) -> Scopes:
    return Scopes.parse(text.split())


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("system/Medication.rs", "system/Medication.rs"),
        ("system/Medication.read", "system/Medication.rs"),
        ("user/*.write", "user/*.cud"),
        ("system/Medication.*", "system/Medication.cruds"),
        ("system/Medication.r system/Medication.s", "system/Medication.rs"),
        ("system/Medication.r system/*.rs", "system/*.rs"),
        ("system/Medication.rs?status=active system/Medication.rs", "system/Medication.rs"),
        (
            "system/Medication.rs?status=active&code=a system/Medication.rs?status=active",
            "system/Medication.rs?status=active",
        ),
        (
            "system/Medication.rs?status=b&code=http%3A%2F%2Fa.org%7Cb%20c",
            "system/Medication.rs?code=http://a.org|b%20c&status=b",
        ),
    ],
)
def test_what_is_written_in_several_ways_has_one_form(written: str, canonical: str) -> None:
    assert str(parsed(written)) == canonical
    assert str(parsed(canonical)) == canonical


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("system/Medicaton.rs", "did you mean 'Medication'"),
        ("system/Medication.sr", "in this order"),
        ("system/Medication.rx", "in this order"),
        ("system/Medication.rr", "in this order"),
        ("system/Medication.", "in this order"),
        ("system/Medication", "no scope for resources"),
        ("server/Medication.rs", "no scope for resources"),
        ("openid", "no scope for resources"),
        ("launch/patient", "no scope for resources"),
        ("", "no scope"),
        ("system/Medication.rs?", "name=value"),
        ("system/Medication.rs?status", "name=value"),
        ("system/Medication.rs?status=", "name=value"),
        ("system/Medication.rs?" + "&".join(f"a{one}=b" for one in range(11)), "at most 10"),
        ("system/Medication.rs?a=" + "b" * 1000, "at most 1000"),
        ('system/Medication.rs?a="', "ASCII"),
        ("system/Medication.rs?a=\n", "ASCII"),
        ("system/Médication.rs", "ASCII"),
    ],
)
def test_what_is_no_scope_is_refused_with_the_reason_and_grants_nothing_where_others_issue_it(
    written: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Scopes.parse([written])
    assert not Scopes.known([written])


def test_more_scopes_than_anybody_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        Scopes.parse(f"system/Medication.rs?code={one}" for one in range(501))
    with pytest.raises(ValueError, match="more than 500 criteria in all"):
        Scopes.parse(f"system/Medication.rs?code={one}&code=a&status=active" for one in range(167))


def test_what_is_registered_is_granted_whatever_there_is_of_it_and_never_more_than_can_be_asked() -> None:
    registered = parsed(" ".join(f"system/Medication.rs?code={one}" for one in range(200)))
    assert registered.within(registered) == registered
    # Each of these with each of those: that many clauses no search has.
    others = parsed(" ".join(f"system/Medication.rs?status={one}" for one in range(200)))
    with pytest.raises(ValueError, match="more than"):
        others.within(registered)


@pytest.mark.parametrize(
    ("requested", "registered", "granted"),
    [
        ("system/*.rs", "system/Medication.cruds", "system/Medication.rs"),
        ("system/Medication.cruds", "system/*.rs", "system/Medication.rs"),
        ("system/Medication.rs", "system/Organization.rs", ""),
        ("user/Medication.rs", "system/Medication.rs", ""),
        ("system/Medication.rs", "system/Medication.rs?status=active", "system/Medication.rs?status=active"),
        ("system/Medication.rs?status=active", "system/Medication.rs", "system/Medication.rs?status=active"),
        ("system/Medication.r?a=b", "system/Medication.rs?c=d", "system/Medication.r?a=b&c=d"),
        ("system/Medication.c", "system/Medication.r", ""),
        ("system/*.read", "system/Medication.read system/Group.s", "system/Group.s system/Medication.rs"),
    ],
)
def test_what_is_granted_is_no_more_than_was_asked_for_and_no_more_than_is_registered(
    requested: str, registered: str, granted: str
) -> None:
    assert str(parsed(requested).within(parsed(registered))) == granted


def test_several_scopes_of_a_type_allow_whatever_one_of_them_allows() -> None:
    scopes = parsed("system/Medication.rs?status=active user/Medication.r?code=a system/*.s?_tag=x system/Group.d")
    assert scopes.criteria("Medication", "r") == ((("code", "a"),), (("status", "active"),))
    assert scopes.criteria("Medication", "s") == ((("_tag", "x"),), (("status", "active"),))
    assert scopes.criteria("Medication", "u") is None
    assert scopes.criteria("Group", "d") == ()
    assert scopes.may("Group", "u", "d")
    assert not scopes.may("Group", "u", "c")


def test_what_is_granted_for_the_patient_in_context_is_granted_for_nothing() -> None:
    assert not parsed("patient/*.cruds").may("Medication", *get_args(Permission))


CRITERIA = st.lists(
    st.tuples(st.sampled_from(["status", "code", "_tag"]), st.text("a|é +&=%,", min_size=1, max_size=4)), max_size=3
)
SCOPE = st.builds(
    lambda context, kind, letters, criteria: Scope(
        context, kind, "".join(p for p in PERMISSIONS if p in letters), tuple(sorted(set(criteria)))
    ),
    st.sampled_from(["system", "user"]),
    st.sampled_from([*TYPES, "*"]),
    st.sets(st.sampled_from(PERMISSIONS), min_size=1),
    CRITERIA,
)
SCOPES = st.lists(SCOPE, max_size=5).map(Scopes.made)


@given(SCOPES)
def test_a_scope_stays_itself_as_text(scopes: Scopes) -> None:
    assert Scopes.parse(scopes.texts) == scopes


@given(SCOPES, SCOPES)
@example(
    Scopes.parse(["user/Medication.cr?status=x"]), Scopes.parse(["user/Medication.c", "user/Medication.r?status=x"])
)
@example(
    Scopes.parse(["user/*.r", "user/Medication.c"]),
    Scopes.parse(["system/Patient.c", "user/*.r", "user/Medication.cr"]),
)
def test_what_two_lists_have_in_common_is_covered_by_either(one: Scopes, other: Scopes) -> None:
    both = one.within(other)
    assert both == other.within(one)
    # Scopes that differ in nothing but what they permit become one: each permission is covered by itself.
    for granted in (replace(scope, permissions=each) for scope in both.of for each in scope.permissions):
        assert any(scope.covers(granted) for scope in one.of)
        assert any(scope.covers(granted) for scope in other.of)
    assert one.within(one) == one
