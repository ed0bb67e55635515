"""Checks resources against many profiles in one process, each with another constraint, and tells its memory.

`python -m tests.validation.many_profiles COUNT LENGTH [LIMIT]`: constraints of `LENGTH` parts; `LIMIT` is how many
bytes each cache may have instead of what it may have otherwise. Prints the memory in use, in bytes, after a quarter
and at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from apothecary.fhir.caches import Weighed
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.fhirpath import parser
from apothecary.validation.profiles import Profiles, registry

URL = "http://example.org/fhir/StructureDefinition/many-"


def profile(number: int, length: int) -> dict[str, Any]:
    """Profile `number`: the id of a resource must be another than each of some, which only this profile names."""
    expression = " and ".join(f"id != 'm{number}-{part}'" for part in range(length))
    constraint = {"key": f"x-{number}", "severity": "error", "human": "x", "expression": f"{expression} and id = 'a'"}
    return {
        "resourceType": "StructureDefinition", "id": f"many-{number}", "url": f"{URL}{number}", "name": f"Many{number}",
        "status": "draft", "fhirVersion": "5.0.0", "kind": "resource", "abstract": False, "type": "Medication",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication", "derivation": "constraint",
        "differential": {"element": [{"id": "Medication", "path": "Medication", "constraint": [constraint]}]},
    }  # fmt: skip


def resident() -> int:
    """The memory of this process in use, in bytes; 0 where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def main(count: int, length: int, limit: int | None) -> None:
    """The command line."""
    if limit is not None:
        parser._KNOWN = Weighed(limit)
        registry.KEPT = limit
    profiles = Profiles(profile(number, length) for number in range(count))
    told = []
    for number in range(count):
        options = Options(profiles=profiles.asking([f"{URL}{number}"]))
        for identity, broken in (("a", False), ("b", True)):
            issues = validate({"resourceType": "Medication", "id": identity}, FhirVersion.R5, options=options)
            assert any(f"x-{number}" in one.diagnostics for one in issues) is broken, (number, issues)
        if number + 1 in (count // 4, count):
            told.append(resident())
    print(*told)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
