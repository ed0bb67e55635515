"""What one run found, before it is told in a format: findings with their places, counts, and the texts of the rules."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apothecary.content.documents import Document, Lines
from apothecary.errors import Issue, Severity

# As much of a source line as a report shows around a finding: files without line breaks are common.
SNIPPET_WIDTH = 100


class RuleText(Protocol):
    """What a report may say about a rule: those of validation are such, and those of reading."""

    @property
    def id(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def code(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def example(self) -> str: ...
    @property
    def remedy(self) -> str: ...


class ObligationText(Protocol):
    """What a profile obliges actors to: https://hl7.org/fhir/R5/obligations.html"""

    @property
    def code(self) -> str: ...
    @property
    def actors(self) -> tuple[str, ...]: ...
    @property
    def elements(self) -> tuple[str, ...]: ...


class ProfileText(Protocol):
    """What a profile says that no instance is checked for; `apothecary.validation.profiles.listing` tells it."""

    @property
    def profile(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def must_support(self) -> tuple[str, ...]: ...
    @property
    def obligations(self) -> tuple[ObligationText, ...]: ...
    @property
    def imposes(self) -> tuple[str, ...]: ...
    @property
    def complies_with(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue at its place. `file` is relative to where the command runs; lines and columns count characters from 1.

    `resource` is the name of the document's resource, which starts on `resource_line`. `snippet` is the source line,
    cut to the surroundings of the place when it is long; `caret` is the place in it, from 0.
    """

    file: str
    resource: str
    issue: Issue
    line: int
    column: int
    snippet: str
    caret: int
    resource_line: int = 1

    @property
    def is_error(self) -> bool:
        """Whether the finding makes a file invalid."""
        return self.issue.severity in ("fatal", "error")

    @property
    def rule(self) -> str:
        """The rule's id, or the issue type where no rule has one."""
        return self.issue.rule or self.issue.code

    @property
    def expression(self) -> str:
        """The FHIRPath of the element; empty when there is none."""
        return self.issue.expression[0] if self.issue.expression else ""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stay the same when lines move: from file, resource, rule, element and message."""
        parts = (self.file.replace(os.sep, "/"), self.resource, self.rule, self.expression, self.issue.diagnostics)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Checked:
    """One resource that was checked: its file, the line it starts on, its name, the release it was checked as (None for
    what could not be read), the profiles that were used, and what was left unchecked, each as a text of its own.
    """

    file: str
    line: int
    resource: str
    release: str | None = None
    profiles: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """All that one run found. `checked` is filled only for formats that name sound resources too (`keeps_checked`),
    `profiles` and `missing_packages` when profiles were given; `idle_profiles` were asked for, and nothing was
    checked against them.
    """

    findings: list[Finding] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    rules: Mapping[str, RuleText] = field(default_factory=dict)
    profiles: Sequence[ProfileText] = ()
    missing_packages: Sequence[str] = ()
    idle_profiles: Sequence[str] = ()
    files: int = 0
    resources: int = 0
    # Files of folders that were passed over, since they hold no FHIR.
    skipped: int = 0
    # Findings that the baseline knows, and entries of the baseline that were not found any more.
    known: int = 0
    mended: int = 0
    # All findings by severity, those beyond `limit` included, which are counted but not kept.
    counts: Counter[str] = field(default_factory=Counter)
    limit: int | None = None
    seconds: float = 0.0
    # How many of the findings that are kept are no errors.
    _lesser: int = 0

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it unless the limit is reached; an error then takes the place of a warning."""
        self.counts[finding.issue.severity] += 1
        is_full = self.limit is not None and len(self.findings) >= self.limit
        if is_full and finding.is_error and self._lesser:
            self._drop_lesser()
            is_full = False
        if not is_full:
            self.findings.append(finding)
            self._lesser += not finding.is_error

    def _drop_lesser(self) -> None:
        """Let go of the last finding that is no error."""
        last = max(index for index, finding in enumerate(self.findings) if not finding.is_error)
        del self.findings[last]
        self._lesser -= 1

    def count(self, *severities: str) -> int:
        """How many findings have one of `severities`."""
        return sum(self.counts[severity] for severity in severities)

    @property
    def beyond_limit(self) -> int:
        """How many findings were counted but not kept."""
        return self.counts.total() - len(self.findings)


def resource_name(value: Any) -> str:
    """`Medication/aspirin`, `Medication` without an id, empty for what is no resource."""
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        return ""
    identity = value.get("id")
    return f"{value['resourceType']}/{identity}" if isinstance(identity, str) else str(value["resourceType"])


def findings_of(document: Document, issues: Iterable[Issue]) -> Iterator[Finding]:
    """The issues of the reader and then those of validation, at their places in `document`."""
    placed = [(each.issue, (each.line, each.column)) for each in document.issues]
    placed += [(issue, document.positions.find(issue.pointer or ())) for issue in issues]
    if not placed:
        return
    lines = Lines(document.text, document.first_line)
    name = resource_name(document.value)
    file = shown_path(document.file)
    for issue, (line, column) in placed:
        snippet, caret = _snippet(lines.text_of(line), column)
        yield Finding(file, name, issue, line, column, snippet, caret, document.first_line)


def shown_path(path: str) -> str:
    """`path` relative to the current folder when it lies below it, with forward slashes, as CI systems want it."""
    if path == "-":
        return "<stdin>"
    if os.path.isabs(path) and not (relative := os.path.relpath(path)).startswith(os.pardir):
        path = relative
    return os.path.normpath(path).replace(os.sep, "/")


def _snippet(line: str, column: int) -> tuple[str, int]:
    caret = min(column - 1, len(line))
    start = max(0, caret - SNIPPET_WIDTH // 2) if len(line) > SNIPPET_WIDTH else 0
    cut = line[start : start + SNIPPET_WIDTH]
    before, after = ("…" if start else ""), ("…" if start + SNIPPET_WIDTH < len(line) else "")
    return f"{before}{cut}{after}", caret - start + len(before)


def most_severe_first(findings: Iterable[Finding]) -> list[Finding]:
    """For readers that cut off the rest."""
    return sorted(findings, key=lambda finding: finding.issue.rank)


def numbered_fingerprints(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Each finding with a fingerprint that no other of them has: equal ones are numbered."""
    seen: Counter[str] = Counter()
    for finding in findings:
        fingerprint = finding.fingerprint
        seen[fingerprint] += 1
        yield finding, f"{fingerprint}:{seen[fingerprint]}"


def printable(text: str) -> str:
    """`text` without characters that a terminal would obey or XML would refuse."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    return " " if character in "\t\n\r\u00a0" else "\N{REPLACEMENT CHARACTER}"
