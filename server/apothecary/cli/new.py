"""`apothecary new`: a sheet for a drug, to be filled in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from apothecary.settings import Settings


@click.command()
@click.argument("drug")
@click.option("--content", "folder", metavar="DIR", help="The content folder.")
@click.option("--editors", metavar="ID", help="The id of the Organization that writes; the only one by default.")
def new(drug: str, folder: str | None, editors: str | None) -> None:
    """Write DIR/sheets/DRUG.yaml, a sheet that says one thing and has all else in comments.

    DRUG is the id of the drug, such as clonazepam. A sheet that exists is left alone. The status is 0, or 2 when it
    could not be written.
    """
    from apothecary.authoring.folder import check_definitions, read_held, schemas
    from apothecary.authoring.template import NO_TERMINOLOGIES, new_sheet
    from apothecary.authoring.terms import FILE
    from apothecary.authoring.types import ID
    from apothecary.content.files import SHEETS
    from apothecary.content.write import replace_file
    from apothecary.errors import StartError

    if not re.match(ID, drug):
        raise StartError(f"{drug!r} is no id: up to 64 letters, digits, hyphens and dots")
    root = Path(Settings.from_environment(content=folder).content)
    held = read_held(root)
    check_definitions(held)
    path = root / SHEETS / f"{drug}.yaml"
    if path.exists():
        raise StartError(f"{path}: exists already")
    known = sorted(key.partition("/")[2] for key in held.resources if key.startswith("Organization/"))
    if editors is None:
        if len(known) != 1:
            raise StartError(
                f"name the Organization that writes with --editors: there are {', '.join(known) or 'none'}"
            )
        editors = known[0]
    elif editors not in known:
        raise StartError(f"there is no Organization/{editors} in {root}")
    today = datetime.now(UTC).date().isoformat()
    title = drug.replace("-", " ")
    replace_file(path, new_sheet(drug, title, today, editors).encode())
    beside = {FILE: NO_TERMINOLOGIES.encode(), **schemas()}
    for name, text in beside.items():
        if not (root / SHEETS / name).exists():
            replace_file(root / SHEETS / name, text)
    click.echo(f"wrote {path}")
