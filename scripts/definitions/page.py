"""The table of repairs as `docs/definitions.md` shows it (https://hl7.org/fhir/R5/downloads.html)."""

from __future__ import annotations

from pathlib import Path

from apothecary.fhir.repairs import REPAIRS, RULES, Repair

BEGIN = "<!-- repairs: written by make definitions -->"
END = "<!-- end of repairs -->"


def repairs_table() -> str:
    """Both tables of repairs in Markdown."""
    return "\n".join(("### Rules", "", *_rows("Where", RULES), "", "### Single repairs", "", *_rows("What", REPAIRS)))


def update(page: Path) -> None:
    """Put the current table between the two marks of `page`."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{repairs_table()}\n{END}{after}", encoding="utf-8")


def _rows(first: str, repairs: tuple[Repair, ...]) -> list[str]:
    rows = [f"| Release | {first} | Published | Repaired | Why |", "|---|---|---|---|---|"]
    for repair in repairs:
        releases = " ".join(repair.releases)
        gone = repair.published == repair.where
        published = "present" if gone else _code(repair.published)
        repaired = "left out" if gone else _code(repair.repaired)
        rows.append(f"| {releases} | {_text(repair.where)} | {published} | {repaired} | {_text(repair.reason)} |")
    return rows


def _text(value: str) -> str:
    return value.replace("|", r"\|")


def _code(value: str | None) -> str:
    return "none" if value is None else f"`{_text(value)}`"
