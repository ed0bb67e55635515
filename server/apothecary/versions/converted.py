"""A value said in another release's type, and the functions that say it so (https://hl7.org/fhir/R5/datatypes.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from apothecary.fhir.json import JSON
from apothecary.versions.run import Run


class Converted(NamedTuple):
    """A value in the target's form; `reason` says what is only approximate."""

    value: Any
    companion: JSON | None
    reason: str | None = None


Converter = Callable[[Any, "JSON | None", Run], Converted | None]
