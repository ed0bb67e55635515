"""A resource or element against the rules of a profile (https://hl7.org/fhir/R5/profiling.html)."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.structures import Binding, Invariant
from apothecary.validation.bindings import named, remedy_for
from apothecary.validation.conformance.slicing import Undecided, belongs
from apothecary.validation.conformance.support import Support
from apothecary.validation.conformance.values import Occurrence, equals, fits, occurrences
from apothecary.validation.diagnostics import shown
from apothecary.validation.fhirpath import FhirPathError, Node
from apothecary.validation.fhirpath.operators import truth
from apothecary.validation.profiles.model import ElementRules, Profile, Slicing
from apothecary.validation.references import target_type
from apothecary.validation.rules import BASE, Rule
from apothecary.validation.run import At, Pointer, pointer_of

# Profiles that name each other as types of their elements end here; real ones nest two or three deep.
_MOST_NESTED = 12
_EXTENSIONS = frozenset({"extension", "modifierExtension"})


class Failed(Exception):
    """A silent check found an error."""


class Checker:
    """The check of one resource or extension against one profile.

    `told` holds what was said already, by rule, place and text: a snapshot repeats in each slice what it asks of all.
    A `silent` checker reports nothing and raises Failed at the first error.
    """

    def __init__(self, support: Support, profile: Profile, *, silent: bool = False, nested: int = 0) -> None:
        self.support = support
        self.run = support.run
        self.profile = profile
        self.silent = silent
        self.nested = nested
        self.told: set[tuple[str, Pointer, str]] = set()

    def check(self, node: Node, at: At) -> None:
        """Report all that `node`, which stands at `at`, breaks."""
        root = self.profile.root
        self._check_constraints(root, node, at)
        self._check_children(root, node, at)

    def _report(self, rule: str, at: At, text: str, key: str | None = None, remedy: str | None = None) -> None:
        found: Rule = BASE[rule]
        if self.silent:
            if found.severity == "error":
                raise Failed
            return
        token = (rule, pointer_of(at if key is None else (at, key, None)), text)
        if token not in self.told:
            self.told.add(token)
            self.run.report(found, at, text, key=key, remedy=remedy)

    def _unchecked(self, rules: ElementRules, at: At, text: str) -> None:
        """Report once for each element of the profile that it could not be checked."""
        token = ("profile-not-checked", (), f"{rules.id} {text}")
        if token not in self.told:
            self.told.add(token)
            self._report("profile-not-checked", at, f"is not checked against {rules.id} of {self.profile.name}: {text}")

    def _check_children(self, rules: ElementRules, node: Node, at: At) -> None:
        for child in rules.children:
            self._check_element(child, occurrences(self.run.tables, node, child.name, at), at)

    def _check_element(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        if rules.counted:
            self._count(rules, found, at)
        for item in found:
            self._check_one(rules, item)
        if rules.slices:
            self._check_slices(rules, found, at)

    def _count(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        count = len(found)
        if count < rules.min:
            wanted = "requires" if rules.min == 1 else f"requires {rules.min} times"
            self._report("profile-cardinality", at, f"lacks {rules.name}, which {self.profile.name} {wanted}")
        elif rules.max is not None and count > rules.max:
            text = f"allows {rules.name} at most {rules.max} times" if rules.max else f"does not allow {rules.name}"
            self._report("profile-cardinality", found[rules.max].at, f"is one too many: {self.profile.name} {text}")

    def _check_one(self, rules: ElementRules, item: Occurrence) -> None:
        node, at = item.node, item.at
        name = self.profile.name
        if rules.restricts_types and all(allowed.code != node.type for allowed in rules.types):
            codes = ", ".join(allowed.code for allowed in rules.types)
            self._report("profile-type", at, f"is a {node.type}, but {name} allows only {codes}")
            return
        if rules.fixed is not None and not equals(item.value, rules.fixed.value):
            text = f"is {shown(item.value)}, but {name} fixes it to {_quoted(rules.fixed.value)}"
            self._report("profile-fixed", at, text, remedy=f"Write {_quoted(rules.fixed.value)}.")
        if rules.pattern is not None and not fits(item.value, rules.pattern.value):
            text = f"is {shown(item.value)}, which does not have what {name} asks: {_quoted(rules.pattern.value)}"
            self._report("profile-pattern", at, text)
        if rules.max_length is not None and isinstance(item.value, str) and len(item.value) > rules.max_length:
            text = f"has {len(item.value)} characters, but {name} allows {rules.max_length}"
            self._report("profile-length", at, text)
        if rules.binding is not None:
            self._check_binding(rules, rules.binding, item)
        if rules.restricts_targets:
            self._check_target(rules, item)
        self._check_constraints(rules, node, at)
        self._check_children(rules, node, at)
        self._check_profiles(rules, item)

    def _check_binding(self, rules: ElementRules, binding: Binding, item: Occurrence) -> None:
        answer = self.support.is_bound(binding, item.node)
        if answer is True:
            return
        if answer is None:
            if self.support.codes(item.node):
                self._unchecked(rules, item.at, f"the codes of {binding.value_set} cannot be listed")
            return
        rule = "profile-binding" if binding.strength == "required" else "profile-binding-extensible"
        found = self.support.codes(item.node)
        if not found:
            if binding.strength == "required":
                text = f"has no code, but {self.profile.name} requires one of {binding.value_set}"
                self._report(rule, item.at, text)
            return
        value_set = self.support.value_set(binding)
        listed = " and ".join(named(coding) for coding in found[:3])
        said = f"is {shown(item.value)}, which is" if isinstance(item.value, str) else f"has {listed},"
        text = f"{said} not of {binding.value_set}, to which {self.profile.name} binds it"
        self._report(rule, item.at, text, remedy=remedy_for(found, value_set))

    def _check_target(self, rules: ElementRules, item: Occurrence) -> None:
        urls = [url for allowed in rules.types if allowed.code == item.node.type for url in allowed.targets]
        allowed_types = {self.support.type_of(url) for url in urls}
        if not urls or None in allowed_types or "Resource" in allowed_types:
            return
        value: Any = item.value
        at: At = item.at
        if item.node.type == "CodeableReference" and isinstance(value, dict):
            value, at = value.get("reference"), (item.at, "reference", None)
        if isinstance(value, dict):
            reference, declared = value.get("reference"), value.get("type")
            found = target_type(reference, self.run) if isinstance(reference, str) else None
            found = found or (declared if isinstance(declared, str) else None)
            if found is not None and found not in allowed_types:
                wanted = " or ".join(sorted(name for name in allowed_types if name))
                text = f"points to a {found}, but {self.profile.name} allows only {wanted}"
                self._report("profile-reference", at, text, key="reference" if reference is not None else "type")

    def _check_constraints(self, rules: ElementRules, node: Node, at: At) -> None:
        for invariant in rules.constraints:
            self._check_constraint(rules, invariant, node, at)

    def _check_constraint(self, rules: ElementRules, invariant: Invariant, node: Node, at: At) -> None:
        try:
            found = self.support.evaluate(invariant.expression, node, self._conforms_to)
            kept = truth(found.items)
        except FhirPathError as error:
            self._unchecked(rules, at, f"the constraint {invariant.key} is not evaluated ({error})")
            return
        if kept is True:
            return
        if found.unresolved:
            self._unchecked(rules, at, f"the constraint {invariant.key} asks for what is not at hand, or left open")
            return
        rule = "profile-constraint" if invariant.severity == "error" else "profile-advice"
        self._report(rule, at, f"breaks {invariant.key} of {self.profile.name}: {invariant.human.rstrip('.')}")

    def _check_profiles(self, rules: ElementRules, item: Occurrence) -> None:
        """Check a value against the profiles of its type; of several it must conform to one."""
        if item.at[1] in _EXTENSIONS and (item.at[0] is None or item.at[0][1] not in _EXTENSIONS):
            return  # An extension is checked by its own definition wherever it stands; its parts only from here.
        urls = [
            url for allowed in rules.types if self.support.is_of(item.node, allowed.code) for url in allowed.profiles
        ]
        known = [found for url in urls if (found := self.support.profile(url)) is not None]
        if not known or len(known) < len(urls) or self.nested >= _MOST_NESTED:
            return
        if len(known) == 1:
            inner = Checker(self.support, known[0], silent=self.silent, nested=self.nested + 1)
            inner.told = self.told
            inner.check(item.node, item.at)
        elif not any(self._conforms(profile.url, item.node) for profile in known):
            names = " or ".join(profile.name for profile in known)
            self._report("profile-type", item.at, f"conforms to none of the profiles that it may have: {names}")

    def _check_slices(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        slicing = rules.slicing
        if slicing is None:
            return
        members: dict[str, list[Occurrence]] = {one.id: [] for one in rules.slices}
        last, outsider = -1, None
        undecided = False
        for item in found:
            try:
                index = self._slice_of(rules, slicing, item)
            except Undecided as reason:
                self._unchecked(rules, item.at, f"the slices of {rules.name}: {reason}")
                undecided = True
                continue
            name = self.profile.name
            if index is None:
                outsider = item
                if slicing.rules == "closed":
                    self._report(
                        "profile-slice", item.at, f"belongs to no slice of {rules.name}, and {name} allows no other"
                    )
                continue
            if slicing.rules == "openAtEnd" and outsider is not None:
                self._report(
                    "profile-slice", outsider.at, f"is of no slice, but {name} allows such only after all slices"
                )
                outsider = None
            if slicing.ordered and index < last:
                text = f"is of the slice {rules.slices[index].slice_name}, which {name} puts before those ahead of it"
                self._report("profile-slice", item.at, text)
            last = max(last, index)
            members[rules.slices[index].id].append(item)
        for one in rules.slices:
            mine = members[one.id]
            if not undecided:
                self._count_slice(one, mine, at)
            for item in mine:
                self._check_one(one, item)
            if one.slices:
                self._check_slices(one, mine, at)

    def _slice_of(self, rules: ElementRules, slicing: Slicing, item: Occurrence) -> int | None:
        """The index of the slice that an item belongs to, None for none of them. Raises Undecided."""
        for index, one in enumerate(rules.slices):
            if belongs(self.support, one, slicing.discriminators, item, self._conforms):
                return index
        return None

    def _count_slice(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        label = f"the slice {rules.slice_name} of {rules.name}"
        if len(found) < rules.min:
            wanted = "requires" if rules.min == 1 else f"requires {rules.min} times"
            self._report("profile-slice-cardinality", at, f"lacks {label}, which {self.profile.name} {wanted}")
        elif rules.max is not None and len(found) > rules.max:
            text = f"allows {label} at most {rules.max} times" if rules.max else f"does not allow {label}"
            self._report(
                "profile-slice-cardinality", found[rules.max].at, f"is one too many: {self.profile.name} {text}"
            )

    def _conforms_to(self, node: Node, url: str) -> bool | None:
        """FHIRPath's conformsTo(); None where the profile is not at hand."""
        return None if self.support.profile(url) is None else self._conforms(url, node)

    def _conforms(self, url: str, node: Node) -> bool:
        """Whether a value conforms to a profile, as far as that can be told; one that is not at hand is not met."""
        profile = self.support.profile(url)
        if profile is None or self.nested >= _MOST_NESTED or not self.support.is_of(node, profile.type):
            return False
        try:
            Checker(self.support, profile, silent=True, nested=self.nested + 1).check(node, None)
        except Failed:
            return False
        return True


def _quoted(value: Any) -> str:
    """A fixed or pattern value as a message shows it: JSON, cut where it is long."""
    if not isinstance(value, dict | list):
        return shown(value)
    from json import dumps

    text = dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else text[:157] + "..."
