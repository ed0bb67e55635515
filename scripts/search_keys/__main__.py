"""`python -m scripts.search_keys`: which parameters of R4 and R4B share their rows in the index with R5's.

Writes `server/apothecary/search/keys.json` and the table in `docs/versions.md`. It looks at the official examples
(`python -m scripts.fetch_examples`) and at resources that use every element: https://hl7.org/fhir/R5/downloads.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from apothecary.errors import FhirError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.keys import DATA
from scripts.fetch_examples import examples
from scripts.search_keys import page
from scripts.search_keys.compare import OLDER, Comparison
from scripts.search_keys.generate import resources

Result = dict[FhirVersion, dict[str, str]]


def types() -> list[str]:
    """The types of resources that R5 shares with an older release."""
    shared = (name for name in definitions(FhirVersion.R5).resource_types())
    return [name for name in shared if any(definitions(one).is_resource_type(name) for one in OLDER)]


def compared(resource_type: str, texts: list[tuple[FhirVersion, bytes]] | None = None) -> Result:
    """The names in the index of one type's parameters, by release and code, where they are not the code."""
    comparison = Comparison(resource_type)
    for written, resource in _resources(resource_type, texts or []):
        try:
            comparison.look_at(resource, written)
        except FhirError:
            continue  # some examples are not built as their release defines it
    return {version: found for version in OLDER if (found := comparison.keys(version))}


def _resources(resource_type: str, texts: list[tuple[FhirVersion, bytes]]) -> Iterator[tuple[FhirVersion, JSON]]:
    for version in FhirVersion:
        if definitions(version).is_resource_type(resource_type):
            yield from ((version, one) for one in resources(version, resource_type))
    yield from ((version, parse(text)) for version, text in texts)


def by_type() -> dict[str, list[tuple[FhirVersion, bytes]]]:
    """The texts of the official examples."""
    found: dict[str, list[tuple[FhirVersion, bytes]]] = {}
    for version in FhirVersion:
        for _, text in examples(version):
            resource_type = str(parse(text).get("resourceType"))
            found.setdefault(resource_type, []).append((version, text))
    return found


def main() -> None:
    """The command line."""
    texts = by_type()
    names = types()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(compared, names, (texts.get(name, []) for name in names)), strict=True))
    found = {version: {name: one[version] for name, one in results.items() if version in one} for version in OLDER}
    DATA.write_text(page.data(found), encoding="utf-8")
    page.update(found)


if __name__ == "__main__":
    main()
