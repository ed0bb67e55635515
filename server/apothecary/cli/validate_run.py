"""Checking many files: which references exist among them, then every document, on several cores when that pays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from apothecary.cli.validate_held import Held
from apothecary.content.documents import Document, PlacedIssue
from apothecary.content.sources import Source
from apothecary.content.stream import documents_of
from apothecary.content.version_hints import hinted_in_text, hinted_version
from apothecary.errors import Issue, Severity
from apothecary.fhir.releases import FhirVersion
from apothecary.reports.report import Checked, Finding, findings_of, resource_name, shown_path

if TYPE_CHECKING:
    # For their types alone: who gives no profiles need not load what reads them, nor who checks nothing the validator.
    from apothecary.validation.options import Coverage
    from apothecary.validation.profiles import Profiles

# Starting a worker and loading the tables in it costs about as much as checking this many bytes.
_BYTES_WORTH_A_POOL = 4_000_000
_MOST_SOURCES_A_TASK = 16


@dataclass(frozen=True, slots=True)
class Check:
    """How to check; small, since every worker process gets one.

    `fhir_version` overrules what resources claim, `default_version` is for those that claim nothing. `known` are the
    resources that references may point to, with the files they are in; None when references out of a document are not
    followed. `profiles` are None
    when none were given; else they also say the release of what claims one of them.
    """

    fhir_version: FhirVersion | None = None
    default_version: FhirVersion = FhirVersion.R5
    disabled: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    medication_rules: bool = True
    known: Mapping[str, Source] | None = None
    keeps_checked: bool = False
    profiles: Profiles | None = None

    def version_of_text(self, data: bytes, published: FhirVersion | None = None) -> FhirVersion:
        """The release to read the text of a resource in; `published` is the one that its package says."""
        return self.fhir_version or hinted_in_text(data) or published or self.default_version

    def release(self, document: Document) -> FhirVersion:
        """The release that a document is checked as."""
        return self.release_of(document.value, document.release)

    def release_of(self, value: Any, published: FhirVersion | None = None) -> FhirVersion:
        """The release that a value read from a file is of; `published` is the one that its package says."""
        return self.fhir_version or hinted_version(value) or self._profiled(value) or published or self.default_version

    def issues(self, document: Document, coverage: Coverage | None = None, held: Held | None = None) -> list[Issue]:
        """What validation finds in a document that could be read."""
        from apothecary.validation import validate
        from apothecary.validation.options import Options

        if not document.readable:
            return []
        version = self.release(document)
        known = self.known
        options = Options(
            disabled=self.disabled,
            severities=self.severities,
            medication_rules=self.medication_rules,
            known=None if known is None else known.__contains__,
            held=held,
            coverage=coverage,
            profiles=self.profiles,
        )
        found = validate(document.value, version, options=options)
        if found:
            from apothecary.validation.other_release import release_hint

            hint = release_hint(document.value, version, found, options)
            found = found if hint is None else [hint, *found]
        return found

    def _profiled(self, value: Any) -> FhirVersion | None:
        return self.profiles.version_of(value) if self.profiles is not None else None


@dataclass(slots=True)
class Outcome:
    """What came out of some documents. `files` counts the files that they begin, `skipped` the files that had none;
    `profiles` are those that something was checked against, kept where some were asked for.
    """

    findings: list[Finding] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    resources: int = 0
    files: int = 0
    skipped: int = 0
    profiles: set[str] = field(default_factory=set)

    def add(self, other: Outcome) -> None:
        """Take in what came out of more documents."""
        self.findings += other.findings
        self.checked += other.checked
        self.resources += other.resources
        self.files += other.files
        self.skipped += other.skipped
        self.profiles |= other.profiles


def outcomes(check: Check, listed: Sequence[Source], jobs: int) -> Iterator[Outcome]:
    """The outcomes of all sources, in order. `jobs` is the most processes to use.

    In one process each document is let go before the next is read, so that the length of a file does not matter.
    """
    if jobs < 2 or len(listed) < 2 or not _is_worth_a_pool(listed):
        held = _held(check)
        for source in listed:
            yield from _outcomes(check, source, held)
        return
    from multiprocessing import get_context

    size = max(1, min(_MOST_SOURCES_A_TASK, len(listed) // (4 * jobs)))
    with get_context().Pool(min(jobs, len(listed)), _set_up, (check,)) as pool:
        yield from pool.imap(_in_worker, listed, chunksize=size)


_worker_check = Check()
_worker_held: Held | None = None


def _set_up(check: Check) -> None:
    global _worker_check, _worker_held
    _worker_check = check
    _worker_held = _held(check)


def _in_worker(source: Source) -> Outcome:
    whole = Outcome()
    for outcome in _outcomes(_worker_check, source, _worker_held):
        whole.add(outcome)
    return whole


def _is_worth_a_pool(listed: Iterable[Source]) -> bool:
    total = 0
    for source in listed:
        total += os.path.getsize(source.path) if os.path.isfile(source.path) else 0
        if total > _BYTES_WORTH_A_POOL:
            return True
    return False


def _outcomes(check: Check, source: Source, held: Held | None) -> Iterator[Outcome]:
    """One outcome for each document of `source`, or one that says that it had none."""
    files = 1
    from apothecary.validation.options import Coverage

    for document in documents_of(source, check.version_of_text):
        asked = check.profiles is not None and bool(check.profiles.asked)
        coverage = Coverage() if check.keeps_checked or asked else None
        findings = findings_of(_without_disabled(check, document), check.issues(document, coverage, held))
        checked = [_checked(check, document, coverage)] if coverage is not None and check.keeps_checked else []
        against = set(coverage.profiles) if coverage is not None and asked else set()
        yield Outcome([*findings], checked, resources=1, files=files, profiles=against)
        files = 0
    if files:
        yield Outcome(skipped=1)


def _checked(check: Check, document: Document, coverage: Coverage) -> Checked:
    return Checked(
        shown_path(document.file),
        document.first_line,
        resource_name(document.value),
        check.release(document) if document.readable else None,
        tuple(coverage.profiles),
        tuple(coverage.unchecked),
    )


def _held(check: Check) -> Held | None:
    """What profiles on the targets of references are checked on."""
    if check.known is None or check.profiles is None:
        return None
    return Held(check.known, check.version_of_text)


def _without_disabled(check: Check, document: Document) -> Document:
    """The reader's own issues, under the same switches as those of validation."""
    if not document.issues:
        return document
    placed = tuple(
        PlacedIssue(replace(each.issue, severity=_severity(check, each.issue)), each.line, each.column)
        for each in document.issues
        if each.issue.rule not in check.disabled or not document.readable
    )
    return replace(document, issues=placed)


def _severity(check: Check, issue: Issue) -> Severity:
    # What cannot be read cannot be valid, whatever the settings say.
    return issue.severity if issue.severity == "fatal" else check.severities.get(issue.rule or "", issue.severity)
