"""`apothecary schema`: the JSON Schema that the validator uses, for editors and other tools.

https://hl7.org/fhir/R5/json.html#schema
"""

from __future__ import annotations

import json

import click

from server.errors import StartError
from server.fhir.releases import parse_version


@click.command()
@click.argument("type_name", metavar="[TYPE]", required=False)
@click.option("--fhir-version", default="R5", show_default=True, metavar="R4|R4B|R5", help="The release to describe.")
def schema(type_name: str | None, fhir_version: str) -> None:
    """Print the JSON Schema of a resource type, or of all of them."""
    from server.fhir.definitions import definitions
    from server.validation.schema import schema as schema_of

    version = parse_version(fhir_version)
    if version is None:
        raise click.BadParameter(f"{fhir_version!r}: write R4, R4B or R5", param_hint="--fhir-version")
    if type_name is not None and not definitions(version).is_resource_type(type_name):
        raise StartError(f"FHIR {version} has no resource type {type_name!r}")
    click.echo(json.dumps(schema_of(type_name, version), indent=2))
