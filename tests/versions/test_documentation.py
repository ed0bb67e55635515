"""docs/versions.md lists every map, rule by rule, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from apothecary.versions.maps import ALL
from apothecary.versions.rules import Map
from tests.search.unsaid import SHOWN_BY_EXAMPLE, UNSAID_BY_OLDER, UNSAID_BY_R5

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


def rows(table: Map) -> Iterator[tuple[str, str, str]]:
    """The rows of the documentation for one map: the element in R4 and R4B, in R5, and what is done."""
    older, newer = table.older, table.newer
    if "." in older and "." not in newer:
        yield f"`{older}`", f"`{newer}`", "the backbone became a data type"
    for part in table.newer_parts:
        yield f"`{older}`", f"`{newer}.{part}`", "its elements stand one level higher"
    for part in table.older_parts:
        yield f"`{older}.{part}`", f"`{newer}`", "its elements stand one level higher"
    for name, to in table.renames.items():
        note = table.values[name].says if name in table.values else ""
        yield f"`{older}.{name}`", f"`{newer}.{to}`", note
    for name, value in table.values.items():
        if name not in table.renames:
            yield f"`{older}.{name}`", f"`{newer}.{name}`", value.says
    for rule in table.regrouped:
        named = [
            ", ".join(f"`{kind}.{name}`" for name in names)
            for kind, names in ((older, rule.older), (newer, rule.newer))
        ]
        yield named[0], named[1], rule.says
    for name, derived in table.derived.items():
        yield "", f"`{newer}.{name}`", derived.says
    for name, codes in table.codes.items():
        to = table.renames.get(name, name)
        for code, near in codes.newer.items():
            yield f"`{older}.{name}` = {code}", f"`{newer}.{to}` = {near}", _arrow(codes.older.get(near) == code, "→")
        for code, near in codes.older.items():
            if codes.newer.get(near) != code:
                yield f"`{older}.{name}` = {near}", f"`{newer}.{to}` = {code}", _arrow(False, "←")


def _named(structure: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"`{structure}.{name}`" for name in names)


def _arrow(both_ways: bool, direction: str) -> str:
    return "both ways" if both_ways else f"{direction} nearly"


def unsaid(table: Mapping[tuple[str, str], str]) -> list[str]:
    """The rows of the documentation for what a release cannot say."""
    codes: dict[tuple[str, str], list[str]] = {}
    for (kind, code), reason in sorted(table.items()):
        if (kind, code) not in SHOWN_BY_EXAMPLE:
            codes.setdefault((kind, reason), []).append(f"`{code}`")
    return [f"| {kind} | {', '.join(some)} | {reason} |" for (kind, reason), some in codes.items()]


def test_the_page_names_what_a_release_cannot_say() -> None:
    tables = PAGE.read_text().partition("## What another release cannot say")[2].split("| --- | --- | --- |\n")[1:]
    found = [one.partition("\n\n")[0].strip().splitlines() for one in tables]
    assert found == [unsaid(UNSAID_BY_R5), unsaid(UNSAID_BY_OLDER)]


def test_the_page_has_the_rows_of_every_map_and_no_other() -> None:
    expected = [f"| {older} | {newer} | {says} |" for table in ALL for older, newer, says in rows(table)]
    body = PAGE.read_text().partition("| R4 and R4B | R5 | |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    assert body.splitlines() == expected
    assert len(expected) > 30
