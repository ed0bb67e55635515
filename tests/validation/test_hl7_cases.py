"""HL7's own cases for validators get HL7's verdict, but for those that are listed with the reason.

`make validator-tests` fetches them; nothing of them is kept here. The verdict is whether there is an error.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from apothecary.errors import StartError
from tests.missing import missing
from tests.validation.hl7_cases import Case, Cases, Missing, obtain

pytestmark = pytest.mark.hl7_cases

EXCEPTIONS = Path(__file__).with_name("hl7_case_exceptions.yaml")
SAME, MISSED, MORE, REFUSED = "same", "missed", "false error", "refused"


def verdict(cases: Cases, case: Case) -> str:
    """How ours and HL7's answers compare."""
    try:
        found = cases.found(case)
    except StartError:
        return REFUSED
    ours = any(one.severity in ("error", "fatal") for one in found)
    if ours == bool(case.errors):
        return SAME
    return MORE if ours else MISSED


def listed() -> dict[str, str]:
    """The expected verdict of each case that is listed."""
    found: dict[str, str] = {}
    kinds: list[dict[str, Any]] = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))
    for kind in kinds:
        assert kind["reason"].strip(), kind
        for name in kind["cases"]:
            assert name not in found, f"{name} is listed twice"
            found[name] = kind["verdict"]
    return found


def test_each_case_has_the_verdict_of_hl7s_engine_or_a_reason() -> None:
    try:
        cases = Cases(obtain())
    except Missing as error:
        missing(str(error))
    expected = listed()
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    names: set[str] = set()
    for case in cases:
        form = case.file.rpartition(".")[2].upper()
        if not case.is_fair:
            counts[form, "asks a terminology server"] += 1
            continue
        found = verdict(cases, case)
        names.add(case.name)
        counts[form, found] += 1
        if found != expected.get(case.name, SAME):
            wrong.append(f"{case.name} ({case.file}): {found}")
    print(*(f"{form}: {number} {found}" for (form, found), number in sorted(counts.items())), sep="\n")
    assert not wrong, "\n".join(wrong)
    assert expected.keys() <= names, f"listed, but no case: {sorted(expected.keys() - names)}"
