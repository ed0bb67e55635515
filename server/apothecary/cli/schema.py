"""`apothecary schema`: the JSON Schema that the validator uses, for editors and other tools.

https://hl7.org/fhir/R5/json.html#schema
"""

from __future__ import annotations

import json
from typing import Any

import click

from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.suggestions import or_rather

# In place of a resource type: files that people write for Apothecary.
CONFIG = "config"
SHEET = "sheet"
TERMINOLOGIES = "terminologies"
MAPPING = "mapping"


@click.command()
@click.argument("type_name", metavar="[TYPE]", required=False)
@click.option("--fhir-version", default="R5", show_default=True, metavar="R4|R4B|R5", help="The release to describe.")
def schema(type_name: str | None, fhir_version: str) -> None:
    """Print the JSON Schema of a resource type, or one that holds all of them.

    TYPE may also be config, for the schema of apothecary.toml; sheet, for that of the sheets of drugs; terminologies,
    for that of the list of the codes that sheets may use; or mapping, for that of the mappings of `import table`.
    """
    if type_name == SHEET:
        from apothecary.authoring.sheet import sheet_schema

        click.echo(json.dumps(sheet_schema(), indent=2))
        return
    if type_name == TERMINOLOGIES:
        from apothecary.authoring.terms import terminologies_schema

        click.echo(json.dumps(terminologies_schema(), indent=2))
        return
    if type_name == MAPPING:
        from apothecary.importers.table.mapping_schema import mapping_schema

        click.echo(json.dumps(mapping_schema(), indent=2))
        return
    if type_name == CONFIG:
        from apothecary.cli.validate_config import config_schema

        click.echo(json.dumps(config_schema(), indent=2))
        return
    from apothecary.fhir.definitions import definitions

    version = parse_version(fhir_version)
    if version is None:
        raise click.BadParameter(f"{fhir_version!r}: write R4, R4B or R5", param_hint="--fhir-version")
    if type_name is not None and not definitions(version).is_resource_type(type_name):
        near = or_rather(type_name, (*definitions(version).resource_types(), CONFIG, SHEET, TERMINOLOGIES, MAPPING))
        raise StartError(f"FHIR {version} has no resource type {type_name!r}{near}")
    from apothecary.validation.schema import json_schema

    found = json_schema(version, type_name) if type_name is not None else whole_schema(version)
    click.echo(json.dumps(found, indent=2))


def whole_schema(version: FhirVersion) -> dict[str, Any]:
    """One schema for every resource type of a release, which `resourceType` tells apart."""
    from apothecary.fhir.definitions import definitions
    from apothecary.validation.schema import DIALECT, json_schema

    types = definitions(version).resource_types()
    defs: dict[str, Any] = {}
    for name in types:
        # What several types reach is the same in each: the names are those of the specification.
        defs.update(json_schema(version, name)["$defs"])
    return {
        "$schema": DIALECT,
        "title": f"FHIR {version}",
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"enum": [*types]}},
        "allOf": [
            {"if": {"properties": {"resourceType": {"const": name}}}, "then": {"$ref": f"#/$defs/{name}"}}
            for name in types
        ],
        "$defs": dict(sorted(defs.items())),
    }
