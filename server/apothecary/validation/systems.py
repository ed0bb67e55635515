"""Code systems and units that are nearly what was meant (https://hl7.org/fhir/R5/terminologies-systems.html)."""

from __future__ import annotations

from typing import Any

from apothecary.validation.diagnostics import shown
from apothecary.validation.mends import meant_system, meant_unit
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run


def check_system(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the system of a Coding or Quantity is absolute, no value set, and no near miss of a well-known one."""
    system = value.get("system")
    if not isinstance(system, str):
        return
    meant = meant_system(system)
    if meant is not None:
        text = f"is {shown(system)}, which names no code system"
        run.report(BASE["system-near-miss"], at, text, key="system", remedy=f"Did you mean {meant!r}?")
    elif ":" not in system:
        _report_relative(system, at, run)
    elif "/ValueSet/" in system and run.tables.value_set(system) is not None:
        text = f"is {shown(system)}, which is a value set"
        run.report(BASE["system-value-set"], at, text, key="system")


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
    meant = meant_unit(value)
    if meant is not None:
        text = f"is {shown(value['code'])}, but the unit is {shown(value['unit'])}"
        run.report(BASE["unit-case"], at, text, key="code", remedy=f"Did you mean {meant!r}?")
