"""What a caller may choose about validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apothecary.errors import Severity

if TYPE_CHECKING:
    # For its type alone: who gives no profiles need not load what reads them.
    from apothecary.validation.profiles import Profiles

# Nesting past this is no resource: the deepest official example has 17 levels.
MAX_DEPTH = 100
MAX_ISSUES = 1000
# What the constraints of profiles may cost in one validation, in steps of about a microsecond, beside the few that each
# evaluation may take anyway; what one of them may, and for how long.
MAX_STEPS = 5_000_000
MAX_STEPS_EACH = 500_000
MAX_SECONDS_EACH = 10.0


class Coverage:
    """What a validation checked against profiles, and what it left unchecked; each once, in the order it came up.

    `profiles` are canonical urls. Of `unchecked`, no more than `MAX_ISSUES` are kept.
    """

    def __init__(self) -> None:
        self.profiles: dict[str, None] = {}
        self.unchecked: dict[str, None] = {}

    def leave(self, what: str) -> None:
        """Note that something was not checked."""
        if len(self.unchecked) < MAX_ISSUES:
            self.unchecked.setdefault(what)


@dataclass(frozen=True)
class Options:
    """Choices for one validation.

    `held` gives the resource that a relative reference points to outside the resource or bundle, None where it is not
    at hand; profiles on targets are checked on it. `coverage` is told what was checked and what was not.
    `known` answers whether a relative reference, such as `Medication/1` and never with a version, has a target outside
    the resource or bundle; without it such references are not followed. `disabled` and `severities` are by rule id,
    invariant keys included; with `errors_only` nothing less severe is told. `resource_type` is the type that the place
    asks for. `medication_rules` False leaves only what the specification says.
    `conditional_references` allows references by criteria, which only a transaction may
    hold, in a resource that was taken out of one. `profiles` are checked, too. `max_depth` bounds the nesting of
    elements, `max_issues` the issues. `max_steps`, `max_steps_each` and `max_seconds_each` bound what the expressions
    of profiles may cost, all together and each; one that costs more is reported as not evaluated.
    """

    known: Callable[[str], bool] | None = None
    held: Callable[[str], Any] | None = None
    coverage: Coverage | None = None
    disabled: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    errors_only: bool = False
    resource_type: str | None = None
    medication_rules: bool = True
    conditional_references: bool = False
    profiles: Profiles | None = None
    max_depth: int = MAX_DEPTH
    max_issues: int = MAX_ISSUES
    max_steps: int = MAX_STEPS
    max_steps_each: int = MAX_STEPS_EACH
    max_seconds_each: float = MAX_SECONDS_EACH

    @cached_property
    def usual(self) -> bool:
        """Whether what stands in an element alone is judged as always: by all rules, and by no profile."""
        told = self.disabled or self.severities or self.coverage is not None or self.profiles is not None
        return not told and self.medication_rules and self.max_depth == MAX_DEPTH
