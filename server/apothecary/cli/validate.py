"""`apothecary validate`: check files offline, tell every defect with its place, and end with a status that CI can
trust.

https://hl7.org/fhir/R5/validation.html
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apothecary.cli.validate_config import Config, find_config, is_url, read_config
from apothecary.cli.validate_held import known_references
from apothecary.cli.validate_run import Check, Outcome, outcomes
from apothecary.content.archives import is_archive
from apothecary.content.sources import STANDARD_INPUT, Source, changed_since, sources
from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.reports.formats import FORMATS, keeps_checked, render
from apothecary.reports.report import Report

if TYPE_CHECKING:
    # For their types alone: most runs have neither, and start sooner without.
    from apothecary.reports.baseline import Baseline
    from apothecary.validation.profiles import Profiles

DEFAULT_MAX_ISSUES = 1000


def _output(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, Path]]:
    found = []
    for value in values:
        name, equals, path = value.partition("=")
        if name not in FORMATS or not equals or not path:
            raise click.BadParameter(f"{value!r}: write FORMAT=FILE with one of {', '.join(FORMATS)}")
        found.append((name, Path(path)))
    return found


def _version(context: click.Context, parameter: click.Parameter, value: str | None) -> FhirVersion | None:
    version = parse_version(value) if value is not None else None
    if value is not None and version is None:
        raise click.BadParameter(f"{value!r}: write R4, R4B or R5")
    return version


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--fhir-version", callback=_version, metavar="R4|R4B|R5", help="Check all against this release.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([*FORMATS]),
    default="text",
    show_default=True,
    help="What to write to standard output.",
)
@click.option("--output", multiple=True, callback=_output, metavar="FORMAT=FILE", help="Write a report to a file, too.")
@click.option("--profile", multiple=True, metavar="URL|FILE", help="Check resources of its type against this profile.")
@click.option(
    "--package",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR|TGZ|NAME#VERSION",
    help="Know the profiles and value sets of this FHIR package. May be repeated, as --profile may.",
)
@click.option(
    "--package-cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the packages are that others depend on. Default: ~/.fhir/packages.",
)
@click.option("--strict", is_flag=True, help="Warnings fail the check, too.")
@click.option("--disable", multiple=True, metavar="RULE", help="Switch a rule off. May be repeated.")
@click.option("--changed-since", metavar="REV", help="Check only what git says changed since REV.")
@click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), help="Leave out what this file lists.")
@click.option("--write-baseline", is_flag=True, help="Write all findings to the baseline, and end with status 0.")
@click.option("--fix", is_flag=True, help="First mend, in the files, what has one reading.")
@click.option("--diff", is_flag=True, help="Show what --fix changes; without --fix, write and check nothing.")
@click.option("--references/--no-references", default=None, help="Follow references from file to file.")
@click.option("--fhir-only", is_flag=True, help="Skip named files without FHIR, as those found in folders.")
@click.option("--max-issues", type=click.IntRange(min=0), help="Show at most so many; 0 is all. Default: 1000.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes to use. Default: one for each core.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Read this configuration.")
@click.option("--quiet", is_flag=True, help="No summary on standard error.")
@click.option("--exit-zero", is_flag=True, help="End with status 0 even with findings.")
def validate(paths: tuple[str, ...], format_name: str, output: list[tuple[str, Path]], **options: Any) -> None:
    """Check FHIR resources in files, folders and globs, or on standard input (-).

    JSON, NDJSON, YAML and FHIR XML are read, and archives of them (.tgz, .zip), such as FHIR packages. The status is 0
    when nothing is wrong, 1 with findings, 2 when the check could not run.
    """
    start = time.perf_counter()
    config = read_config(options["config"]) if options["config"] else find_config(Path.cwd())
    baseline_path: Path | None = options["baseline"] or config.baseline
    if options["write_baseline"] and baseline_path is None:
        raise StartError("--write-baseline needs --baseline FILE, or a baseline in the configuration")
    listed = [source for source in sources(paths, fhir_only=options["fhir_only"]) if not _is_excluded(source, config)]
    formats = {format_name, *(name for name, _ in output)}
    profiles, missing = _profiles(config, options)
    check = replace(_check(config, options), keeps_checked=any(map(keeps_checked, formats)), profiles=profiles)
    if _follows_references(paths, options["references"]):
        check = replace(check, known=known_references(listed, check.version_of_text))
    if options["changed_since"] is not None:
        if STANDARD_INPUT in paths:
            raise StartError("--changed-since: git knows nothing of standard input")
        listed = changed_since(options["changed_since"], listed)
    if options["fix"] or options["diff"]:
        from apothecary.cli.validate_fix import mend_files

        found = mend_files(listed, check.release_of, check.version_of_text, fix=options["fix"], diff=options["diff"])
        if not options["fix"]:
            sys.exit(1 if found and not options["exit_zero"] else 0)
    report = Report(limit=_limit(options, config))
    baseline = _baseline(None if options["write_baseline"] else baseline_path)
    against: set[str] = set()
    for outcome in outcomes(check, listed, options["jobs"] or os.cpu_count() or 1):
        _collect(outcome, baseline, report)
        against |= outcome.profiles
    if baseline is not None and options["changed_since"] is None:
        report.mended = baseline.unused
    if "sarif" in formats:
        report.rules = _rule_texts(report)
    if profiles is not None and "json" in formats:
        from apothecary.validation.profiles.listing import listings

        report.profiles = listings(profiles)
    report.missing_packages = missing
    if profiles is not None:
        known = {one.partition("|")[0] for one in against}
        report.idle_profiles = [url for url in profiles.asked if url.partition("|")[0] not in known]
    report.seconds = time.perf_counter() - start
    if options["write_baseline"] and baseline_path is not None:
        _write_baseline(baseline_path, report)
        return
    _tell(report, format_name, output, quiet=options["quiet"])
    if not (report.resources or options["fhir_only"] or options["changed_since"]):
        # Nothing found is not nothing wrong: most likely a path is misspelt, or a build step is missing.
        raise StartError("nothing was checked: no file holds FHIR")
    failed = report.count("fatal", "error") or ((options["strict"] or config.strict) and report.count("warning"))
    sys.exit(1 if failed and not options["exit_zero"] else 0)


def _profiles(config: Config, options: dict[str, Any]) -> tuple[Profiles | None, list[str]]:
    """The profiles of the options and the configuration, None without any, so that nothing more is loaded; and the
    packages that are not in the cache although another one depends on them.
    """
    named = (*config.profiles, *options["profile"])
    packages = (*config.packages, *options["package"])
    if not named and not packages:
        return None, []
    from apothecary.content.package_cache import DEFAULT_CACHE, INDEX, gather
    from apothecary.content.packages import read_definition
    from apothecary.validation.profiles import Profiles

    resources: list[dict[str, Any]] = []
    asked = []
    for name in named:
        if not is_url(name):
            resources.append(read_definition(Path(name)))
        asked.append(name if is_url(name) else resources[-1]["url"])
    cache = (options["package_cache"] or config.package_cache or DEFAULT_CACHE).expanduser()
    found = gather(packages, cache, cache / INDEX)
    return Profiles([*resources, *found.given], asked, found.indexed), found.missing


def _baseline(path: Path | None) -> Baseline | None:
    if path is None:
        return None
    from apothecary.reports.baseline import Baseline

    return Baseline.read(path)


def _collect(outcome: Outcome, baseline: Baseline | None, report: Report) -> None:
    report.files += outcome.files
    report.skipped += outcome.skipped
    report.resources += outcome.resources
    report.checked += outcome.checked
    for finding in outcome.findings:
        if baseline is not None and baseline.knows(finding):
            report.known += 1
        else:
            report.add(finding)


def _check(config: Config, options: dict[str, Any]) -> Check:
    disabled = frozenset((*config.disable, *options["disable"]))
    for rule in options["disable"]:
        _require_rule(rule)
    return Check(
        fhir_version=options["fhir_version"],
        default_version=config.fhir_version or FhirVersion.R5,
        disabled=disabled,
        severities=config.severity,
        medication_rules=config.medication_rules,
    )


def _require_rule(rule: str) -> None:
    """A misspelt rule id would switch nothing off in silence."""
    from apothecary.cli.rules import no_such_rule

    said = no_such_rule(rule)
    if said is not None:
        raise StartError(said)


def _is_excluded(source: Source, config: Config) -> bool:
    """Whether a file found in a folder matches a glob of `exclude`.

    A file that is named is checked whatever it is called.
    """
    if source.named or not config.exclude:
        return False
    from fnmatch import fnmatch

    path = Path(os.path.relpath(source.path, config.folder)).as_posix()
    return any(fnmatch(path, pattern) for pattern in config.exclude)


def _follows_references(paths: tuple[str, ...], asked: bool | None) -> bool:
    """By default a folder or an archive is taken as a whole; single files may rightly point to what is not there."""
    if asked is not None:
        if asked and STANDARD_INPUT in paths:
            raise StartError("--references reads everything twice, which standard input does not allow")
        return asked
    return STANDARD_INPUT not in paths and any(os.path.isdir(path) or is_archive(path) for path in paths)


def _limit(options: dict[str, Any], config: Config) -> int | None:
    if options["write_baseline"]:
        return None
    chosen = next((each for each in (options["max_issues"], config.max_issues) if each is not None), DEFAULT_MAX_ISSUES)
    return chosen or None


def _rule_texts(report: Report) -> dict[str, Any]:
    from apothecary.content.documents import READING_RULES
    from apothecary.validation.catalogue import find_rule

    found = {}
    for rule in {finding.rule for finding in report.findings}:
        texts = (find_rule(rule, version) for version in reversed(FhirVersion))
        found[rule] = READING_RULES.get(rule) or next(filter(None, texts), None)
    return {rule: text for rule, text in found.items() if text is not None}


def _write_baseline(path: Path, report: Report) -> None:
    from apothecary.reports.baseline import write_baseline

    try:
        known = write_baseline(path, report.findings)
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"{known} findings are known from now on: {path}", err=True)


def _tell(report: Report, format_name: str, output: list[tuple[str, Path]], *, quiet: bool) -> None:
    for name, path in output:
        try:
            path.write_bytes(_encoded(render(name, report)))
        except OSError as error:
            raise StartError(f"{path}: cannot be written: {error.strerror}") from error
    if format_name == "text":
        from apothecary.reports import text
        from apothecary.settings import no_colour

        click.echo(_encoded(text.render(report, colour=sys.stdout.isatty() and not no_colour())), nl=False)
    else:
        click.echo(_encoded(render(format_name, report)), nl=False)
    if not quiet:
        from apothecary.reports.text import summary

        click.echo(summary(report), err=True)


def _encoded(text: str) -> bytes:
    # Reports are UTF-8 wherever they go; a file name that is no Unicode text must not end the run.
    return text.encode("utf-8", "backslashreplace")
