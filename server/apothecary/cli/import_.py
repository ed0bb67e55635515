"""`apothecary import`: bring a catalogue in as it is published, a command for each format."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from apothecary.cli.import_progress import Progress
from apothecary.errors import StartError
from apothecary.fhir.json import dumps
from apothecary.fhir.temporal import instant, now, parse_span
from apothecary.importers.catalogue import Catalogue
from apothecary.importers.formats import FORMATS, Format, Given
from apothecary.importers.into import database
from apothecary.importers.outputs import output
from apothecary.importers.previous import Previous
from apothecary.importers.remarks import Remarks
from apothecary.importers.report import Report
from apothecary.importers.run import Import
from apothecary.importers.sources import Hash, hashes
from apothecary.settings import Settings
from apothecary.store.keyset import KeySet
from apothecary.suggestions import or_rather

_COMMON: tuple[Callable[..., Any], ...] = (
    click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."),
    click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://..."),
    click.option(
        "--output",
        type=click.Path(path_type=Path),
        metavar="DIR|FILE.ndjson[.gz]",
        help="Write files, and leave the database alone.",
    ),
    click.option("--dry-run", is_flag=True, help="Write nothing; only tell what would be left out."),
    click.option("--strict", is_flag=True, help="Stop at the first row that cannot be taken."),
    click.option(
        "--report",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write every remark into FILE; as JSON, one a line, where its name ends in .json, .jsonl or .ndjson.",
    ),
    click.option(
        "--previous",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="PATH",
        help="With --output: an earlier edition, so that only what changed is written. May be repeated.",
    ),
    click.option("--since", default="", metavar="DATE", help="Only what the source dates on or after that day."),
    click.option("--edition", metavar="TEXT", help="Which edition of the catalogue this is."),
    click.option("--catalogue", metavar="URI", help="Which catalogue this is, where it is not the publisher's."),
    click.option(
        "--withdraw/--no-withdraw",
        default=None,
        help="Whether what the catalogue held and these files lack is made inactive.",
    ),
    click.option("--validate/--no-validate", "validation", default=True, help="Whether invalid resources are refused."),
)


class _Formats(click.Group):
    """A command for each format, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(FORMATS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in FORMATS:
            ctx.fail(f"there is no format {cmd_name!r}{or_rather(cmd_name, FORMATS)}; known are {', '.join(FORMATS)}")
        return _command(FORMATS[cmd_name])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Formats"):
            formatter.write_dl([(one.name, one.said) for one in FORMATS.values()])


@click.group(name="import", cls=_Formats, subcommand_metavar="FORMAT PATH... [OPTIONS]")
def import_() -> None:
    """Import a catalogue as it is published, into the database or into files.

    Rows that cannot be taken are told and passed over. What the database holds already is left as it is, so an import
    that was interrupted is run again. The status is 0 when all was taken, 1 when something was not, 2 when it could not
    run.
    """


def _command(format: Format) -> click.Command:
    def run(**given: Any) -> None:
        own = {one.name: given.pop(one.name.replace("-", "_")) for one in format.options}
        _run(format, own, _Asked(**given))

    run.__doc__ = f"{format.title}, as published by {format.publisher}.\n\n{format.said} See {format.page}"
    for option in reversed(format.options):
        kind: dict[str, Any] = {"is_flag": True} if option.metavar is None else {"metavar": option.metavar}
        run = click.option(f"--{option.name}", help=option.said, **kind)(run)
    for each in reversed(_COMMON):
        run = each(run)
    return click.command(name=format.name)(run)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says, whatever the format."""

    paths: tuple[Path, ...]
    database: str | None
    output: Path | None
    dry_run: bool
    strict: bool
    report: Path | None
    previous: tuple[Path, ...]
    since: str
    edition: str | None
    catalogue: str | None
    withdraw: bool | None
    validation: bool

    def check(self, format: Format) -> None:
        """Raises StartError for what does not go together."""
        if self.output is not None and self.database is not None:
            raise StartError("--output writes files, --database into a database: name one of them")
        if self.previous and self.output is None and not self.dry_run:
            raise StartError("--previous needs --output: a database knows what it holds")
        if self.since and not format.dated:
            raise StartError(
                f"--since: {format.title} does not say when its rows were changed; compare with --previous, or import "
                "into a database, which keeps the versions of what did not change"
            )
        try:
            parse_span(self.since or "2000-01-01")
        except ValueError as error:
            raise StartError(f"--since: {error}") from error


def _run(format: Format, options: dict[str, Any], asked: _Asked) -> None:
    asked.check(format)
    with ExitStack() as stack:
        remarks = stack.enter_context(Remarks(asked.report))
        report = Report(remarks, strict=asked.strict)
        given = Given(asked.paths, report, options)
        for option in format.options:
            if option.prints and options[option.name]:
                click.echo(format.printed(option, given), nl=False)
                return
        files = hashes(asked.paths)
        catalogue = Catalogue(
            format, asked.catalogue or format.catalogue_of(given), asked.edition or format.edition(given)
        )
        if asked.previous and catalogue.uri is None:
            raise StartError("--previous: name the catalogue with --catalogue")
        progress = Progress(sum(one.size for one in files), report.reading)
        run = Import(catalogue, given, stack.enter_context(KeySet()), asked.since, progress.made)
        try:
            with progress:
                into_database = asked.output is None and not asked.dry_run
                done = _into_database(run, files, asked) if into_database else _into_files(run, files, asked)
        except KeyboardInterrupt:
            click.echo("interrupted: run it again for the rest", err=True)
            raise
        finally:
            for line in remarks.summary():
                click.echo(line, err=True)
    skipped, approximated = report.counts["skipped"], report.counts["approximated"]
    for line in (*done, f"{skipped} left out, {approximated} approximated"):
        click.echo(line, err=True)
    sys.exit(1 if skipped else 0)


def _into_database(run: Import, files: Sequence[Hash], asked: _Asked) -> list[str]:
    """Import, and say what was done."""
    from apothecary.store.open import opened

    settings = Settings.from_environment(database=asked.database)
    with opened(settings) as store:
        loaded, why = database(run, files, store, settings, validation=asked.validation, withdrawing=asked.withdraw)
    done = f"{loaded.created} created, {loaded.updated} updated, {loaded.unchanged} unchanged"
    return [*_said(run, why), done]


def _into_files(run: Import, files: Sequence[Hash], asked: _Asked) -> list[str]:
    """Write files, or nothing, and say what was done."""
    why = None
    with KeySet() as known, output(None if asked.dry_run else asked.output) as out:
        previous = Previous(asked.previous, run.catalogue, run.given, known) if asked.previous else None
        run.write(out, previous.has if previous is not None else lambda _: False, validation=asked.validation)
        if previous is not None:
            why = previous.withdraw(run, out, asked.withdraw)
        for one in (run.catalogue.library(), run.catalogue.provenance(files, instant(now()))):
            out.write(one, dumps(one))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(run.types.items()))
    done = f"{'nothing' if asked.dry_run else run.written} written of {sum(run.types.values())} resources"
    return [*_said(run, why), f"{done}: {kinds}" if kinds else done]


def _said(run: Import, why: str | None) -> list[str]:
    said = [f"{run.older} resources are dated before {run.since}"] if run.older else []
    return [*said, why] if why is not None else said
