"""What a check against profiles may ask of a value, and of what is at hand around it
(https://hl7.org/fhir/R5/profiling.html).

Nothing here reports: the check of elements and the choice of slices both put these questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from apothecary.fhir.references import split_canonical
from apothecary.fhir.structures import Binding
from apothecary.validation.bindings import CODINGS, SYNTAXES, holds
from apothecary.validation.fhirpath import Node, compile_expression, evaluate
from apothecary.validation.invariants import environment_of
from apothecary.validation.profiles import Profiles
from apothecary.validation.profiles.model import ElementRules, Profile
from apothecary.validation.profiles.registry import is_core
from apothecary.validation.profiles.valuesets import CodeSet
from apothecary.validation.run import Run

# The steps that each evaluation has in any case; what published profiles ask takes fewer.
_EARNED = 200


class Evaluated(NamedTuple):
    """What an expression found; `unresolved` when it asked for something that is not at hand."""

    items: list[Any]
    unresolved: bool


class Support:
    """The profiles and value sets at hand, for one validation."""

    __slots__ = ("profiles", "run")

    def __init__(self, profiles: Profiles, run: Run) -> None:
        self.profiles = profiles
        self.run = run

    def profile(self, url: str) -> Profile | None:
        """The profile for the release of the validation; None when it is not at hand or cannot be used."""
        return self.profiles.usable(url, self.run.tables.version)

    def evaluate(self, expression: str, node: Node, conforms: Callable[[Node, str], bool | None]) -> Evaluated:
        """What an expression of a profile finds in the context of `node`, within the budget of the validation. Raises
        FhirPathError for one that cannot be evaluated, or costs too much.
        """
        run = self.run
        environment = environment_of(run, node)
        environment.budget = run.budget.begin(run.options.max_steps_each, _EARNED)
        environment.value_set = self.value_set
        environment.subsumes = self.profiles.code_sets(run.tables.version).subsumes
        environment.conforms = conforms
        return Evaluated(evaluate(compile_expression(expression), environment), environment.unresolved)

    def roots(self, urls: Iterable[str]) -> Iterator[ElementRules]:
        """The rules of those of the profiles that are at hand."""
        for url in urls:
            profile = self.profile(url)
            if profile is not None:
                yield profile.root

    def type_of(self, url: str) -> str | None:
        """The type that a profile or a definition of the specification is for; None when it is not at hand."""
        return self.profiles.type_of(url, self.run.tables)

    def is_core(self, url: str) -> bool:
        """Whether a url is that of a type of the specification, of which nothing more is asked than it is."""
        return is_core(url, self.run.tables) and self.profiles.find("StructureDefinition", url) is None

    def is_of(self, node: Node, code: str) -> bool:
        """Whether a value is of the type `code`, which may be what all resources are based on."""
        tables = self.run.tables
        return node.type == code or (code in ("Resource", "DomainResource") and tables.is_resource_type(node.type))

    def value_set(self, canonical: str) -> CodeSet:
        """The codes of a value set; one that is not at hand cannot tell them."""
        return self.profiles.value_set(canonical, self.run.tables.version)

    def is_bound(self, binding: Binding, node: Node) -> bool | None:
        """Whether an element has a code of the value set; None when that cannot be told."""
        syntax = SYNTAXES.get(split_canonical(binding.value_set)[0])
        value_set = None if syntax is not None else self.value_set(binding.value_set)
        answers = [holds(coding, syntax, value_set) for coding in self.codes(node)]
        if True in answers:
            return True
        return None if None in answers else False

    def codes(self, node: Node) -> list[Any]:
        """The codes of an element as Codings; none for a type that has no codes."""
        if isinstance(node.value, str):
            return [{"code": node.value}]
        codings = CODINGS.get(node.type)
        return codings(node.value) if codings is not None and isinstance(node.value, dict) else []
