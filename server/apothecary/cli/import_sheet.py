"""`apothecary import-sheet`: the sheet that the resources of a drug could have been built from.

https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from apothecary.settings import Settings


@click.command("import-sheet")
@click.argument("drug")
@click.option("--content", "folder", metavar="DIR", help="The content folder.")
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file, not to standard output.")
def import_sheet(drug: str, folder: str | None, output: Path | None) -> None:
    """Write the sheet of a drug from the resources of a content folder.

    DRUG is the id of its MedicationKnowledge. What a sheet has no room for is named, and so is what it would build
    otherwise. The status is 0 when the sheet builds the same resources, 1 when something is named, 2 when it could not
    run.
    """
    from apothecary.authoring.folder import read_held, read_table
    from apothecary.authoring.imported import import_sheet as imported
    from apothecary.authoring.imported import qualified
    from apothecary.authoring.proof import differing
    from apothecary.authoring.writing import sheet_text
    from apothecary.content.write import replace_file

    held = read_held(Path(Settings.from_environment(content=folder).content))
    resources = qualified(held.resources.values(), drug)
    sheet, left = imported(drug, resources, read_table(held.folder, drug), held.vocabulary)
    text = sheet_text(sheet)
    if output is None:
        click.echo(text, nl=False)
    else:
        replace_file(output, text.encode())
    left = left or [*differing(text, resources, held.vocabulary)]
    for line in left:
        click.echo(line, err=True)
    sys.exit(1 if left else 0)
