"""The rows of product.txt and package.txt as what FDA lists.

https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-product-file-definitions: names, strengths and units of
substances are three lists that run side by side, and so are no columns of the same length in every row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from apothecary.importers.fda import day
from apothecary.importers.listed_products import Ingredient
from apothecary.importers.report import Place, Report

# A `;` in brackets is part of a name.
_SEMICOLON = re.compile(r";(?![^()]*\))")
_ON_THE_MARKET = frozenset({"", "N"})
_EXPIRED = "E"


def split(text: str) -> list[str]:
    """The parts of a list that semicolons separate, none for a blank one."""
    return [one.strip() for one in text.split(";")] if text.strip() else []


def ingredients(
    fields: Mapping[str, str], unii: Callable[[str], str], report: Report, place: Place
) -> list[Ingredient]:
    """The substances of a row with their strengths. Where the lists do not run side by side the strengths are told, and
    left out: which belongs to which substance is not said.
    """
    text = fields.get("SUBSTANCENAME", "")
    names, strengths, units = (split(fields.get(column, "")) for column in _LISTS)
    if not names:
        return []
    if len(names) != len(strengths) and ";" in text:
        whole = [one.strip() for one in _SEMICOLON.split(text)]
        names = whole if len(whole) == len(strengths) else names
    if not len(names) == len(strengths) == len(units):
        if any(strengths) or any(one.strip("/") for one in units):
            report.approximated(
                place._replace(column="ACTIVE_NUMERATOR_STRENGTH"),
                f"{len(names)} substances have {len(strengths)} strengths and {len(units)} units: left out",
            )
        strengths = units = [""] * len(names)
    listed = zip(names, strengths, units, strict=True)
    return [Ingredient(name, unii(name), strength, unit) for name, strength, unit in listed if name]


_LISTS = ("SUBSTANCENAME", "ACTIVE_NUMERATOR_STRENGTH", "ACTIVE_INGRED_UNIT")


class Status:
    """Whether what a row lists is on the market."""

    def __init__(self, as_of: str, report: Report) -> None:
        """`as_of` is the day on which ends of marketing are judged, 2019-06-28; they are not where it is empty."""
        self._as_of = as_of
        self._report = report
        self._told: set[tuple[str, str]] = set()

    def active(self, fields: Mapping[str, str], place: Place) -> bool:
        """FDA flags what is no longer certified with E, and leaves out what is no longer marketed. A flag of no known
        meaning is told once a file.
        """
        flag = fields.get("NDC_EXCLUDE_FLAG", "").strip()
        if flag not in _ON_THE_MARKET and flag != _EXPIRED and (place.file, flag) not in self._told:
            self._told.add((place.file, flag))
            self._report.approximated(
                place._replace(column="NDC_EXCLUDE_FLAG"), f"{flag} has no known meaning: such rows are active"
            )
        if flag == _EXPIRED:
            return False
        end = day(fields.get("ENDMARKETINGDATE", "").strip()) if self._as_of else None
        return end is None or end >= self._as_of
