"""Organization and Group: https://hl7.org/fhir/R5/organization.html, https://hl7.org/fhir/R5/group.html."""

from __future__ import annotations

from apothecary.versions.maps.dividing import contacts
from apothecary.versions.rules import Map, Value


def _membership(actual: bool) -> str:
    return "enumerated" if actual else "definitional"


def _actual(membership: str) -> bool | None:
    return {"enumerated": True, "definitional": False}.get(membership)


MAPS = (
    Map("Organization", "Organization", regrouped=(contacts(with_address=True),)),
    Map(
        "Group",
        "Group",
        renames={"actual": "membership"},
        values={"actual": Value(_membership, _actual, "true is enumerated, false definitional")},
    ),
)
