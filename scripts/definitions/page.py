"""The repairs as `docs/definitions.md` shows them (https://hl7.org/fhir/R5/downloads.html)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apothecary.fhir.repairs import REPAIRS, RULES, Repair

BEGIN = "<!-- repairs: written by make definitions -->"
END = "<!-- end of repairs -->"
PARAMETER = "SearchParameter "


def repairs_section() -> str:
    """All repairs in Markdown: what a repair changes as a difference, what is only there or not as a table."""
    left_out = [row for row in REPAIRS if row.published == row.where]
    computed = [row for row in REPAIRS if row.published is row.repaired is None]
    changed = [row for row in REPAIRS if row not in left_out and row not in computed]
    return "\n".join(
        (
            "### Rules\n",
            "A rule repairs the same fault wherever it occurs.\n",
            *map(_difference, RULES),
            "### Regular expressions, invariants and extensions\n",
            *(_difference(row) for row in changed if not row.where.startswith(PARAMETER)),
            "### Search parameters\n",
            *(_difference(row) for row in changed if row.where.startswith(PARAMETER)),
            "### Computed by the server\n",
            "These have no expression, and need none.\n",
            *_table(computed),
            "### Left out\n",
            "These search parameters are published, but nobody could use them.\n",
            *_table(left_out),
        )
    ).rstrip()


def update(page: Path) -> None:
    """Put the current repairs between the two marks of `page`."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{repairs_section()}\n{END}{after}", encoding="utf-8")


def _difference(repair: Repair) -> str:
    lines = [f"{sign} {value}" for sign, value in (("-", repair.published), ("+", repair.repaired)) if value]
    return "\n".join((f"**{_name(repair)}** ({_releases(repair)}). {repair.reason}\n", "```diff", *lines, "```\n"))


def _table(repairs: Iterable[Repair]) -> list[str]:
    rows = [f"| `{_name(one).removesuffix(' expression')}` | {_releases(one)} | {one.reason} |" for one in repairs]
    return ["| Search parameter | Release | Why |", "| --- | --- | --- |", *rows, ""]


def _name(repair: Repair) -> str:
    return repair.where.removeprefix(PARAMETER)


def _releases(repair: Repair) -> str:
    return ", ".join(repair.releases)
