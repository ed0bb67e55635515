"""`apothecary build`: the resources of a content folder from its sheets.

https://hl7.org/fhir/R5/resource.html#id
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from apothecary.settings import Settings


@click.command()
@click.argument("sheets", nargs=-1, metavar="[SHEET]...", type=click.Path(path_type=Path))
@click.option("--content", "folder", metavar="DIR", help="The content folder.")
@click.option("--check", is_flag=True, help="Write nothing; the status is 1 when a file is not what its sheet says.")
@click.option("--narratives", is_flag=True, help="Renew the generated narratives of the other resources, too.")
def build(sheets: tuple[Path, ...], folder: str | None, check: bool, narratives: bool) -> None:
    """Write the resources of drugs from their sheets: DIR/sheets/*.yaml, or those named.

    Resources, their narratives, the fragments of code systems and the ledger of claims are written where they differ,
    and what a sheet no longer says is removed. Nothing is written unless every sheet is sound. The status is 0 when
    all is as the sheets say, 1 with --check when it is not, 2 when a sheet is wrong or something cannot be written.
    """
    from apothecary.authoring.folder import plan, read_held, read_sheet, sheet_paths
    from apothecary.errors import StartError

    root = Path(Settings.from_environment(content=folder).content)
    held = read_held(root)
    paths = sheet_paths(root)
    known = {path.resolve() for path in paths}
    for one in sheets:
        if one.resolve() not in known:
            raise StartError(f"{one}: is no sheet in {root / 'sheets'}")
    if not paths:
        raise StartError(f"{root / 'sheets'}: there are no sheets; apothecary new DRUG writes one")
    wanted = {one.resolve() for one in sheets}
    only = [path for path in paths if path.resolve() in wanted]
    made = plan(held, [read_sheet(path) for path in paths], only, narratives=narratives)
    for line in made.unverified:
        click.echo(line, err=True)
    for path in made.write:
        click.echo(f"{'differs' if check else 'wrote'} {path}")
    for path in made.remove:
        click.echo(f"{'is not in any sheet' if check else 'removed'} {path}")
    if not check:
        made.carry_out()
    click.echo(f"{made.built} resources, {len(made.write)} to write, {len(made.remove)} to remove" if check else
               f"{made.built} resources, {len(made.write)} written, {len(made.remove)} removed", err=True)  # fmt: skip
    sys.exit(1 if check and not made.is_current else 0)
