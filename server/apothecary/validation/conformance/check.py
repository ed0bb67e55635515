"""A resource or element against the rules of a profile (https://hl7.org/fhir/R5/profiling.html)."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.references import split_canonical
from apothecary.fhir.structures import Invariant
from apothecary.validation.bindings import named, remedy_for
from apothecary.validation.conformance import limits, targets
from apothecary.validation.conformance.slicing import POSITION, Undecided, at_position, belongs
from apothecary.validation.conformance.support import Support
from apothecary.validation.conformance.values import Occurrence, equals, fits, occurrences
from apothecary.validation.diagnostics import shown
from apothecary.validation.fhirpath import FhirPathError, Node, truth
from apothecary.validation.profiles.compile import CORE
from apothecary.validation.profiles.model import Bound, ElementRules, Profile, Slicing
from apothecary.validation.rules import BASE, Rule
from apothecary.validation.run import At, Pointer, pointer_of

# Profiles that name each other as types of their elements end here; real ones nest two or three deep.
_MOST_NESTED = 12
_EXTENSIONS = frozenset({"extension", "modifierExtension"})
# The slice of all that is in no other: https://hl7.org/fhir/R5/profiling.html#default-slice
DEFAULT = "@default"


_BINDING_RULES = {"required": "profile-binding", "extensible": "profile-binding-extensible"}
# What these profiles of the specification add, the tables have on each element of the type.
_BUILT_IN = frozenset({"SimpleQuantity", "MoneyQuantity"})


class Failed(Exception):
    """A silent check found an error; the message is what it says of the element."""


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
        for url in self.profile.imposes:
            imposed = self.support.profile(url)
            if imposed is None:
                self._unchecked(root, at, f"the profile {url}, which it imposes, is not at hand or cannot be used")
            elif not self.support.is_of(node, imposed.type):
                self._unchecked(root, at, f"the profile {url}, which it imposes, is on {imposed.type}")
            elif self.nested < _MOST_NESTED:
                if self.run.options.coverage is not None and not self.silent:
                    self.run.options.coverage.profiles.setdefault(imposed.canonical)
                self._inner(imposed).check(node, at)

    def _report(self, rule: str, at: At, text: str, key: str | None = None, remedy: str | None = None) -> None:
        found: Rule = BASE[rule]
        if self.silent:
            if found.severity == "error":
                raise Failed(f"{rule}: {text}")
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
            self.run.unchecked(f"{rules.id} of {self.profile.name}: {text}")
            self._report("profile-not-checked", at, f"is not checked against {rules.id} of {self.profile.name}: {text}")

    def _check_children(self, rules: ElementRules, node: Node, at: At) -> None:
        for child in rules.children:
            self._check_element(child, occurrences(self.run.tables, node, child.name, at), at)

    def _check_element(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        if rules.counted:
            self._count(rules, found, at)
        for item in found:
            self._check_one(rules, item)
        for one in rules.bound:
            if one.any and found and self._applies(rules, one, found[0]):
                self._check_any(rules, one, found, at)
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
        try:
            for rule, text in limits.broken(rules, item, name):
                self._report(rule, at, text)
        except limits.Unlimited as reason:
            self._unchecked(rules, at, str(reason))
        for one in rules.bound:
            if not one.any and self._applies(rules, one, item):
                self._check_binding(rules, one, item)
        self._check_targets(rules, item)
        self._check_constraints(rules, node, at)
        with targets.inside(item, self.run):
            self._check_children(rules, node, at)
            self._check_profiles(rules, item)

    def _check_binding(self, rules: ElementRules, one: Bound, item: Occurrence) -> None:
        binding = one.binding
        answer = self.support.is_bound(binding, item.node)
        if answer is True:
            return
        if answer is None:
            if self.support.codes(item.node):
                self._unchecked(rules, item.at, self._unlisted(binding.value_set))
            return
        rule = _BINDING_RULES[binding.strength]
        found = self.support.codes(item.node)
        how = f"the {one.purpose} binding of {self.profile.name}" if one.purpose else self.profile.name
        if not found:
            if binding.strength == "required" and one.purpose != "maximum" and item.value is not None:
                text = f"has no code, but {how} requires one of {binding.value_set}"
                self._report(rule, item.at, text)
            return
        value_set = self.support.value_set(binding.value_set)
        listed = " and ".join(named(coding) for coding in found[:3])
        said = f"is {shown(item.value)}, which is" if isinstance(item.value, str) else f"has {listed},"
        text = f"{said} not of {binding.value_set}, to which {how} binds it"
        self._report(rule, item.at, text, remedy=remedy_for(found, value_set))

    def _unlisted(self, value_set: str) -> str:
        reason = self.support.value_set(value_set).reason
        return f"the codes of {value_set} cannot be listed" + (f": {reason}" if reason else "")

    def _check_any(self, rules: ElementRules, one: Bound, found: list[Occurrence], at: At) -> None:
        """Check a binding that one of the items is enough for."""
        answers = [self.support.is_bound(one.binding, item.node) for item in found]
        if found and True not in answers:
            if None in answers:
                self._unchecked(rules, found[0].at, self._unlisted(one.binding.value_set))
            else:
                text = f"is, as all its like, not of {one.binding.value_set}, which {self.profile.name} asks of one"
                self._report(_BINDING_RULES[one.binding.strength], found[0].at, text)

    def _applies(self, rules: ElementRules, one: Bound, item: Occurrence) -> bool:
        """Whether a binding is for the use that the profile was written for."""
        for code, values in one.usage:
            mine = [known for name, known in self.profile.contexts if name == code]
            if not mine:
                text = f"the binding to {one.binding.value_set} is only for some uses ({code})"
                self._unchecked(rules, item.at, text)
                return False
            if all(values.isdisjoint(known) for known in mine):
                return False
        return True

    def _check_targets(self, rules: ElementRules, item: Occurrence) -> None:
        at: At = item.at
        key = None
        if isinstance(item.value, dict):
            if item.node.type == "CodeableReference":
                inner = item.value.get("reference")
                if not isinstance(inner, dict):
                    return
                at = (item.at, "reference", None)
                key = "reference" if "reference" in inner else "type"
            else:
                key = "reference" if "reference" in item.value else "type"
        for text in targets.broken(self.support, rules, item, self.profile.name, self.reason):
            self._report("profile-reference", at, text, key=key)

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
        if any(split_canonical(url)[0].removeprefix(CORE) in _BUILT_IN or self.support.is_core(url) for url in urls):
            return
        known = [found for url in urls if (found := self.support.profile(url)) is not None]
        if len(known) < len(urls) or self.nested >= _MOST_NESTED:
            lacking = next((url for url in urls if self.support.profile(url) is None), "")
            said = f"the profile {lacking} is not at hand or cannot be used" if lacking else "profiles nest too deeply"
            self._unchecked(rules, item.at, said)
            return
        if len(known) == 1:
            self._inner(known[0]).check(item.node, item.at)
        elif known and not any(self._conforms(profile.canonical, item.node) for profile in known):
            names = " or ".join(profile.name for profile in known)
            self._report("profile-type", item.at, f"conforms to none of the profiles that it may have: {names}")

    def _check_slices(self, rules: ElementRules, found: list[Occurrence], at: At) -> None:
        slicing = rules.slicing
        if slicing is None:
            return
        members: dict[str, list[Occurrence]] = {one.id: [] for one in rules.slices}
        last, outsider = -1, None
        undecided = False
        default = next((one for one in rules.slices if one.slice_name == DEFAULT), None)
        for position, item in enumerate(found):
            try:
                index = self._slice_of(rules, slicing, item, position)
            except Undecided as reason:
                self._unchecked(rules, item.at, f"the slices of {rules.name}: {reason}")
                undecided = True
                continue
            name = self.profile.name
            if index is None:
                if default is not None:
                    members[default.id].append(item)
                    continue
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

    def _slice_of(self, rules: ElementRules, slicing: Slicing, item: Occurrence, position: int) -> int | None:
        """The index of the slice that an item belongs to, None for none of them. Raises Undecided."""
        named = [one for one in rules.slices if one.slice_name != DEFAULT]
        if any(each.type == POSITION for each in slicing.discriminators):
            here = at_position(named, position)
            return None if here is None else rules.slices.index(named[here])
        for index, one in enumerate(rules.slices):
            if one.slice_name != DEFAULT and belongs(self.support, one, slicing.discriminators, item, self._conforms):
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

    def _inner(self, profile: Profile) -> Checker:
        """A check against another profile in the course of this one, which says nothing twice."""
        inner = Checker(self.support, profile, silent=self.silent, nested=self.nested + 1)
        inner.told = self.told
        return inner

    def _conforms_to(self, node: Node, url: str) -> bool | None:
        """FHIRPath's conformsTo(); None where the profile is not at hand."""
        return None if self.support.profile(url) is None else self._conforms(url, node)

    def _conforms(self, url: str, node: Node) -> bool:
        """Whether a value conforms to a profile, as far as that can be told; one that is not at hand is not met."""
        if self.support.is_core(url):
            return self.support.is_of(node, str(self.support.type_of(url)))
        profile = self.support.profile(url)
        if profile is None or self.nested >= _MOST_NESTED or not self.support.is_of(node, profile.type):
            return False
        return self._failure(profile, node) is None

    def _failure(self, profile: Profile, node: Node) -> str | None:
        try:
            Checker(self.support, profile, silent=True, nested=self.nested + 1).check(node, None)
        except Failed as failed:
            return str(failed)
        return None

    def reason(self, url: str, resource: dict[str, Any]) -> str | None:
        """Why a resource, in which the walk is now, does not conform to a profile; None where it does, as far as that
        can be told.
        """
        profile = self.support.profile(url)
        if profile is None or self.nested >= _MOST_NESTED:
            self.run.unchecked(f"a target is not checked against {url}: profiles nest too deeply")
            return None
        key = (profile.canonical, id(resource))
        known = self.run.conforming
        if key not in known:
            known[key] = (
                resource,
                None,
            )  # A circle of references comes back here: what is under way is taken to conform.
            type_name = str(resource.get("resourceType"))
            known[key] = (resource, self._failure(profile, Node(resource, type_name, type_name)))
        return known[key][1]


def _quoted(value: Any) -> str:
    """A fixed or pattern value as a message shows it: JSON, cut where it is long."""
    if not isinstance(value, dict | list):
        return shown(value)
    from json import dumps

    text = dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else text[:157] + "..."
