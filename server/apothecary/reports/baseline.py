"""The findings that a project has agreed to live with for now: a JSON file, so that only new ones fail the build."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from apothecary.errors import StartError
from apothecary.reports.report import Finding


def write_baseline(path: Path, findings: Iterable[Finding]) -> int:
    """Write `findings` as known, sorted so that changes to the file are readable; returns how many they are."""
    counts = Counter(findings_key(finding) for finding in findings)
    listed = [
        {"file": file, "rule": rule, "expression": expression, "fingerprint": fingerprint, "count": count}
        for (file, rule, expression, fingerprint), count in sorted(counts.items())
    ]
    path.write_text(json.dumps({"version": 1, "findings": listed}, indent=2) + "\n", encoding="utf-8")
    return sum(counts.values())


def findings_key(finding: Finding) -> tuple[str, str, str, str]:
    """What the baseline says of a finding; only the fingerprint, which includes the rest, is compared."""
    return finding.file, finding.rule, finding.expression, finding.fingerprint


class Baseline:
    """Known findings, each used up once for each time that it was counted."""

    def __init__(self, counts: Counter[str]) -> None:
        self._left = counts

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """The baseline in the file `path`. Raises StartError when it is not one."""
        try:
            document = json.loads(path.read_bytes())
            if document["version"] != 1:
                raise StartError(f"{path}: a baseline of version {document['version']!r}, written by another release")
            return cls(Counter({entry["fingerprint"]: int(entry["count"]) for entry in document["findings"]}))
        except OSError as error:
            raise StartError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StartError(f"{path}: not a baseline; write one with --write-baseline") from error

    def knows(self, finding: Finding) -> bool:
        """Whether `finding` is known; it is used up by asking."""
        fingerprint = finding.fingerprint
        if self._left[fingerprint] <= 0:
            return False
        self._left[fingerprint] -= 1
        return True

    @property
    def unused(self) -> int:
        """How many known findings did not occur."""
        return sum(self._left.values())
