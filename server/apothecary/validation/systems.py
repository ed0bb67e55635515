"""Code systems and units that are nearly what was meant (https://hl7.org/fhir/R5/terminologies-systems.html)."""

from __future__ import annotations

from typing import Any

from apothecary.validation.diagnostics import shown
from apothecary.validation.meant import meant
from apothecary.validation.mends import SYSTEMS, meant_unit
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_RIGHT = frozenset(SYSTEMS)


def check_system(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the system of a Coding or Quantity is not a near miss, or another name, of one that is known."""
    system = value.get("system")
    if isinstance(system, str) and system in _RIGHT:
        return
    right = meant(system) if isinstance(system, str) else None
    profiles = run.options.profiles
    if right is None or (profiles is not None and profiles.code_systems(str(system), run.tables.version)):
        return
    text = f"is {shown(system)}, which is not the URI of a code system"
    run.report(BASE["system-near-miss"], at, text, key="system", remedy=f"Did you mean {right!r}?")


def check_unit(value: dict[str, Any], at: At, run: Run) -> None:
    """Check that the code of a Quantity is not its unit in another case: MG is a megagauss."""
    right = meant_unit(value)
    if right is not None:
        unit = value.get("unit", value["code"])
        said = f"but the unit is {shown(unit)}" if unit == right else "a unit that no medicine is measured in"
        run.report(
            BASE["unit-case"], at, f"is {shown(value['code'])}, {said}", key="code", remedy=f"Did you mean {right!r}?"
        )
