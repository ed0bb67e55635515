"""Code systems and units that are nearly what was meant (https://hl7.org/fhir/R5/terminologies-systems.html)."""

from __future__ import annotations

from typing import Any

from apothecary.validation.diagnostics import shown
from apothecary.validation.mends import meant_system, meant_unit
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run


def check_system(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the system of a Coding or Quantity is not a near miss of a well-known one."""
    system = value.get("system")
    meant = meant_system(system) if isinstance(system, str) else None
    if meant is not None:
        text = f"is {shown(system)}, which names no code system"
        run.report(BASE["system-near-miss"], at, text, key="system", remedy=f"Did you mean {meant!r}?")


def check_unit(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the code of a Quantity is not its unit in another case: MG is a megagauss."""
    meant = meant_unit(value)
    if meant is not None:
        text = f"is {shown(value['code'])}, but the unit is {shown(value['unit'])}"
        run.report(BASE["unit-case"], at, text, key="code", remedy=f"Did you mean {meant!r}?")
