"""What was worked out, as the package ships it and as `docs/versions.md` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/versions.md"
BEGIN = "<!-- search parameters: written by make search-keys -->"
END = "<!-- end of search parameters -->"

Found = Mapping[FhirVersion, Mapping[str, Mapping[str, str]]]


def data(found: Found) -> str:
    """`keys.json`: one type a line."""
    releases = []
    for version, types in found.items():
        rows = (f'"{name}":{msgspec.json.encode(types[name]).decode()}' for name in sorted(types))
        releases.append(f'"{version}":{{\n' + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(releases) + "\n}\n"


def table(found: Found) -> str:
    """All of it in Markdown, by type."""
    lines = ["| Resource type | Read from the R4 or R4B form | Read as R5's |", "| --- | --- | --- |"]
    for name in sorted({name for types in found.values() for name in types}):
        own, renamed = _cells({version: types.get(name, {}) for version, types in found.items()})
        lines.append(f"| {name} | {', '.join(own)} | {', '.join(renamed)} |")
    return "\n".join(lines)


def _cells(by_version: Mapping[FhirVersion, Mapping[str, str]]) -> tuple[list[str], list[str]]:
    own, renamed = [], []
    for code in sorted({code for codes in by_version.values() for code in codes}):
        names = {version: codes[code] for version, codes in by_version.items() if code in codes}
        for version, name in names.items():
            if version is FhirVersion.R4B and names.get(FhirVersion.R4) == name:
                continue
            both = names.get(FhirVersion.R4B) == name and version is FhirVersion.R4
            where = "" if both else f" ({version})"
            if keys.owner(name) is FhirVersion.R5:
                renamed.append(f"`{code}`: `{name}`{where}")
            else:
                own.append(f"`{code}`{where}")
    return own, renamed


def update(found: Found) -> None:
    """Put the table between the two marks of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")
