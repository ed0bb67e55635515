"""Code systems and units that are nearly what was meant (https://hl7.org/fhir/R5/terminologies-systems.html)."""

from __future__ import annotations

from typing import Any

from apothecary.validation.diagnostics import shown
from apothecary.validation.meant import meant
from apothecary.validation.mends import SYSTEMS, meant_unit
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_RIGHT = frozenset(SYSTEMS)
# What HL7 publishes there are value sets (https://terminology.hl7.org/).
_VALUE_SETS = ("http://hl7.org/fhir/ValueSet/", "http://terminology.hl7.org/ValueSet/")


def check_system(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the system of a Coding or Quantity is absolute, no value set, and no near miss of a known one."""
    system = value.get("system")
    if not isinstance(system, str) or system in _RIGHT:
        return
    right = meant(system)
    profiles = run.options.profiles
    if right is not None:
        if profiles is None or not profiles.code_systems(system, run.tables.version):
            text = f"is {shown(system)}, which is not the URI of a code system"
            run.report(BASE["system-near-miss"], at, text, key="system", remedy=f"Did you mean {right!r}?")
    elif ":" not in system:
        _report_relative(system, at, run)
    elif system.startswith(_VALUE_SETS):
        run.report(BASE["system-value-set"], at, f"is {shown(system)}, which is a value set", key="system")


def check_identifier(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the system of an Identifier is absolute."""
    system = value.get("system")
    if isinstance(system, str) and ":" not in system:
        _report_relative(system, at, run)


def _report_relative(system: str, at: At, run: Run) -> None:
    if system.strip():
        run.report(BASE["system-relative"], at, f"is {shown(system)}, which is not an absolute URI", key="system")


def check_unit(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the code of a Quantity is not its unit in another case: MG is a megagauss."""
    right = meant_unit(value)
    if right is not None:
        unit = value.get("unit", value["code"])
        said = f"but the unit is {shown(unit)}" if unit == right else "a unit that no medicine is measured in"
        run.report(
            BASE["unit-case"], at, f"is {shown(value['code'])}, {said}", key="code", remedy=f"Did you mean {right!r}?"
        )
