"""What an importer makes of files, and what is wrong with it in each release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from apothecary.api.models import models
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Remark, Report
from apothecary.validation import validate
from apothecary.versions.convert import convert


def imported(
    name: str, *paths: Path, options: Mapping[str, Any] | None = None, strict: bool = False
) -> tuple[list[JSON], list[Remark]]:
    """The resources that the format `name` makes of `paths`, as they are when they were written and read again, and
    what it tells.
    """
    remarks: list[Remark] = []
    given = Given(paths, Report(remarks.append, strict=strict), options or {})
    return [parse(dumps(made.resource)) for made in FORMATS[name].resources(given)], remarks


def errors(resources: Iterable[JSON], *, in_models: bool = True) -> list[str]:
    """What is wrong with them: in R5, for the library fhir.resources, and once they were converted to R4 and R4B."""
    found = []
    for one in resources:
        for version in FhirVersion:
            shown = convert(one, FhirVersion.R5, version).resource
            found += [
                f"{version} {one['resourceType']}/{one['id']}: {issue.expression} {issue.diagnostics}"
                for issue in validate(shown, version)
                if issue.severity in ("error", "fatal")
            ]
        if in_models:
            models(dumps(one))
    return found


def by_type(resources: Iterable[JSON], kind: str) -> list[JSON]:
    """Those of one type, in their order."""
    return [one for one in resources if one["resourceType"] == kind]


def dangling(resources: Iterable[JSON]) -> set[str]:
    """The references among them that lead nowhere."""
    held = {f"{one['resourceType']}/{one['id']}" for one in resources}
    named: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("reference"), str):
                named.add(reference)
            for part in node.values():
                walk(part)
        elif isinstance(node, list):
            for part in node:
                walk(part)

    walk(list(resources))
    return named - held
