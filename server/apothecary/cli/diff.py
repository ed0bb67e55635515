"""`apothecary diff`: what changed in meaning between two revisions of a content folder.

For a reviewer who knows the drugs and not the files: https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from apothecary.settings import Settings


@click.command()
@click.argument("before", metavar="REV")
@click.argument("after", metavar="[REV]", required=False)
@click.option("--content", "folder", metavar="DIR", help="The content folder.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", help="Format of the output."
)
@click.option("--exit-code", is_flag=True, help="The status is 1 when anything changed.")
def diff(before: str, after: str | None, folder: str | None, form: str, exit_code: bool) -> None:
    """Tell what changed in meaning between two revisions of git, or between one and the files as they are.

    Uses, statuses, strengths, codes, limits and all else that a sheet says, added, removed and changed, by drug. What
    is in no sheet is named. The status is 0, with --exit-code 1 when something changed, 2 when it could not be told.
    """
    from apothecary.authoring import telling
    from apothecary.authoring.difference import State, differences
    from apothecary.authoring.folder import read_held, read_table, table_of
    from apothecary.authoring.imported import qualified, source_key
    from apothecary.authoring.revisions import at_revision

    root = Path(Settings.from_environment(content=folder).content)
    held = read_held(root)

    def state(revision: str | None) -> State:
        if revision is None:
            key = source_key(held.resources.values())
            return State(qualified(held.resources.values(), key), read_table(root, key))
        resources, table = at_revision(root, revision)
        key = source_key(resources)
        return State(qualified(resources, key), table_of(table, key, f"{revision}:{root}"))

    found = differences(state(before), state(after), held.vocabulary)
    said = {"text": telling.text, "markdown": telling.markdown, "json": telling.as_json}[form](found)
    click.echo(said, nl=False)
    sys.exit(1 if exit_code and found else 0)
