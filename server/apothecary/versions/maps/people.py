"""Organization and Group: https://hl7.org/fhir/R5/organization.html, https://hl7.org/fhir/R5/group.html."""

from __future__ import annotations

from apothecary.versions.rules import Map, Value


def _membership(actual: bool) -> str:
    return "enumerated" if actual else "definitional"


def _actual(membership: str) -> bool | None:
    return {"enumerated": True, "definitional": False}.get(membership)


MAPS = (
    # A backbone became a data type; naming the pair is all that is needed, its elements have the same names.
    Map("Organization.contact", "ExtendedContactDetail"),
    Map(
        "Group",
        "Group",
        renames={"actual": "membership"},
        values={"actual": Value(_membership, _actual, "true is enumerated, false definitional")},
    ),
)
