"""Applies `apothecary.fhir.repairs` to https://hl7.org/fhir/R5/downloads.html; each row must be true and needed."""

from __future__ import annotations

from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.repairs import REPAIRS, RULES


class RepairError(Exception):
    """A row of the table and the packages disagree."""


class Repairs:
    """The rows of one release, and which of them the compiler has used."""

    def __init__(self, version: FhirVersion) -> None:
        self._version = version
        self._rows = {row.where: row for row in REPAIRS if version in row.releases}
        self._rules = {row.where: row for row in RULES if version in row.releases}
        self._used: set[str] = set()

    def repaired(self, where: str, published: str | None) -> str | None:
        """What stands in the tables at `where`; RepairError when the row expects another `published`."""
        row = self._rows.get(where)
        if row is None:
            return published
        if row.published != published:
            raise RepairError(
                f"{self._version} {where}: the table expects {row.published!r}, the package has {published!r}"
            )
        self._used.add(where)
        return row.repaired

    def omitted(self, where: str) -> bool:
        """Whether a row leaves out what `where` names, a whole search parameter or one of its bases."""
        return self.has(where) and self.repaired(where, where) is None

    def has(self, where: str) -> bool:
        """Whether there is a row for `where`."""
        return where in self._rows

    def apply_rule(self, rule: str, example: str) -> None:
        """Note that `rule` was needed, as for `example`; RepairError when this release has no such rule."""
        if rule not in self._rules:
            raise RepairError(f"{self._version}: rule {rule!r} is not in the table but needed, as for {example}")
        self._used.add(rule)

    def unused(self) -> list[str]:
        """The rows and rules that nothing needed."""
        return sorted((set(self._rows) | set(self._rules)) - self._used)
