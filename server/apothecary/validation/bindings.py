"""Codes and their value sets, as far as a binding demands them
(https://hl7.org/fhir/R5/terminologies.html#strength).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

from apothecary.fhir.definitions import definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Binding
from apothecary.suggestions import did_you_mean
from apothecary.validation.diagnostics import shown
from apothecary.validation.primitives import Accept, Defect
from apothecary.validation.rules import BASE, Rule
from apothecary.validation.run import At, Run

BindingCheck = Callable[[dict[str, Any], At, Run], None]

_PREFIX = "http://hl7.org/fhir/ValueSet/"
# A language, then subtags of 1 to 8; or private use (x-) or a grandfathered tag (i-):
# https://www.rfc-editor.org/rfc/rfc5646#section-2.1
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,3}|[A-Za-z]{4,8}(?=-)|[xi](?=-))(?:-[A-Za-z0-9]{1,8})*", re.ASCII)
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+\-*]+/[A-Za-z0-9!#$&^_.+\-*]+(?:\s*;.*)?", re.ASCII)
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}|[a-z]+")


class Syntax(NamedTuple):
    """A code system too large to list whose codes have a form."""

    accept: Callable[[str], bool]
    rule: Rule
    meaning: str
    system: str | None = None
    """The only system that its codes are of, where a Coding or Quantity says it."""
    remedy: Callable[[str], str | None] = lambda code: None


def _is_mime(code: str) -> bool:
    # The definitions of the CapabilityStatement allow the short names of FHIR's own formats.
    return _MIME.fullmatch(code) is not None or code in ("json", "xml", "ttl", "html")


def _is_unit(code: str) -> bool:
    from apothecary.fhir.ucum import is_valid

    return is_valid(code)


def _meant_unit(code: str) -> str | None:
    from apothecary.fhir.ucum import UcumError, parse_unit

    try:
        parse_unit(code)
    except UcumError as error:
        return f"Did you mean {error.suggestion!r}?" if error.suggestion else None
    return None


SYNTAXES: Mapping[str, Syntax] = {
    f"{_PREFIX}all-languages": Syntax(
        lambda code: _LANGUAGE.fullmatch(code) is not None, BASE["bad-language"], "a BCP 47 language tag"
    ),
    f"{_PREFIX}mimetypes": Syntax(_is_mime, BASE["bad-mime-type"], "a MIME type"),
    f"{_PREFIX}ucum-units": Syntax(_is_unit, BASE["bad-unit"], "a UCUM unit", "http://unitsofmeasure.org", _meant_unit),
    f"{_PREFIX}color-codes": Syntax(
        lambda code: _COLOR.fullmatch(code) is not None,
        BASE["code-not-in-value-set"],
        "a CSS color such as blue or #FF0000",
    ),
}


def code_acceptor(version: FhirVersion, binding: Binding, accept: Accept) -> Accept:
    """A quick test that a value is good and in the value set. `accept` is the test of its type."""
    syntax = SYNTAXES.get(binding.value_set)
    if syntax is not None and binding.strength == "required":
        return lambda value: accept(value) and syntax.accept(value)
    value_set = definitions(version).value_set(binding.value_set)
    if value_set is None or not value_set.complete:
        return accept
    codes = frozenset(code for concepts in value_set.concepts.values() for code in concepts)
    return lambda value: isinstance(value, str) and value in codes and accept(value)


def code_defect(version: FhirVersion, binding: Binding, code: str) -> Defect | None:
    """What is wrong with a code of the right form, by its binding."""
    syntax = SYNTAXES.get(binding.value_set)
    if syntax is not None:
        if binding.strength != "required" or syntax.accept(code):
            return None
        return Defect(syntax.rule, f"is {shown(code)}, which is not {syntax.meaning}", syntax.remedy(code))
    value_set = definitions(version).value_set(binding.value_set)
    if value_set is None or value_set.contains(None, code) is not False:
        return None
    codes = [name for concepts in value_set.concepts.values() for name in concepts]
    remedy = did_you_mean(code, codes) or f"Use one of: {_listed(codes)}."
    return Defect(_rule(binding), f"is {shown(code)}, which is not a code of {binding.value_set}", remedy)


def binding_check(
    version: FhirVersion, binding: Binding, type_name: str, *, needs_code: bool = True
) -> BindingCheck | None:
    """The check of a Coding, CodeableConcept, CodeableReference or Quantity; None when there is nothing to check. A
    required binding `needs_code`, but for one that only says what codes may be.
    """
    if binding.strength not in ("required", "extensible"):
        return None
    value_set = definitions(version).value_set(binding.value_set)
    syntax = SYNTAXES.get(binding.value_set)
    if syntax is None and (value_set is None or (not value_set.complete and not value_set.systems)):
        return None
    codings = CODINGS.get(type_name)
    if codings is None:
        return None
    rule = _rule(binding)
    required = binding.strength == "required"

    def check(value: dict[str, Any], at: At, run: Run) -> None:
        found = codings(value)
        if not any("code" in coding or "_code" in coding for coding in found):
            # Text alone cannot be from the set, but whether a code would fit an extensible one nobody can tell.
            if required and needs_code and (found or isinstance(value.get("text"), str)):
                run.report(rule, at, f"has no code, but one of {binding.value_set} is required")
            return
        # A code without its system is no code of any set; where a set only advises, that is not worth a word.
        answers = [
            holds(coding, syntax, value_set) if not required or syntax or "system" in coding else _unnamed(coding)
            for coding in found
        ]
        if True not in answers and None not in answers and not _holds_today(version, binding.value_set, found):
            if required and needs_code:
                run.withdraw("code-unknown", at)  # The same, with less to say.
            listed = " and ".join(named(coding) for coding in found[:3])
            remedy = remedy_for(found, value_set) if syntax is None else _remedy_by(syntax, found)
            run.report(rule, at, f"has {listed}, not of {binding.value_set}", remedy=remedy)

    return check


def _unnamed(coding: Mapping[str, Any]) -> bool | None:
    return None if "_system" in coding or "_code" in coding else False


def _holds_today(version: FhirVersion, url: str, codings: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a value set that HL7 keeps for all releases has one of the codings, which the release's list has not."""
    if not hl7_terminology().has_value_set(url):
        return False
    today = _today(version).find(url)
    return any(holds(coding, None, today) is True for coding in codings)


@cache
def _today(version: FhirVersion) -> Finder:
    # Only for codes that seem wrong: it takes longer to load than most validations.
    from apothecary.validation.profiles.canonicals import Canonicals
    from apothecary.validation.profiles.valuesets import CodeSets, Held

    return CodeSets(Held(Canonicals(), Canonicals()), version)


def _rule(binding: Binding) -> Rule:
    return BASE["code-not-in-value-set" if binding.strength == "required" else "code-not-in-extensible-set"]


class Codes(Protocol):
    """The codes of a value set: those of the specification's tables are such, and those of packages."""

    @property
    def concepts(self) -> Mapping[str, Mapping[str, str]]: ...
    @property
    def systems(self) -> tuple[str, ...]: ...
    def contains(self, system: str | None, code: str) -> bool | None: ...


class Finder(Protocol):
    """What finds value sets by their canonical."""

    def find(self, canonical: str) -> Codes: ...


def holds(coding: Mapping[str, Any], syntax: Syntax | None, value_set: Codes | None) -> bool | None:
    """Whether a Coding is of the value set or has the form of its codes; None when that cannot be told."""
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(code, str) or not (system is None or isinstance(system, str)):
        return None
    if syntax is not None:
        return syntax.accept(code) and (syntax.system is None or system in (None, syntax.system))
    return None if value_set is None else value_set.contains(system, code)


def _of_concept(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    codings = value.get("coding")
    return [item for item in codings if isinstance(item, dict)] if isinstance(codings, list) else []


def _of_reference(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    concept = value.get("concept")
    return _of_concept(concept) if isinstance(concept, dict) else []


def _of_itself(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [value] if "code" in value else []


CODINGS: Mapping[str, Callable[[Mapping[str, Any]], list[Mapping[str, Any]]]] = {
    "Coding": _of_itself,
    "CodeableConcept": _of_concept,
    "CodeableReference": _of_reference,
    "Quantity": _of_itself,
}


def named(coding: Mapping[str, Any]) -> str:
    """A Coding as a message names it: `system|code`."""
    return f"{coding.get('system') or 'no system'}|{coding.get('code')}"[:120]


def remedy_for(codings: Iterable[Mapping[str, Any]], value_set: Codes | None) -> str | None:
    """How to mend codings that are not of the value set; None when nothing is known of it."""
    if value_set is None:
        return None
    for coding in codings:
        code, system = coding.get("code"), coding.get("system")
        if not isinstance(code, str):
            continue
        for known, concepts in value_set.concepts.items():
            if code in concepts and system != known:
                return f"The code is of {known}: correct the system."
            if system == known:
                return did_you_mean(code, concepts) or f"Use one of: {_listed(concepts)}."
    return f"Use a code of {', '.join(value_set.systems[:3])}." if value_set.systems else None


def _remedy_by(syntax: Syntax, codings: Iterable[Mapping[str, Any]]) -> str | None:
    for coding in codings:
        code, system = coding.get("code"), coding.get("system")
        if isinstance(code, str) and syntax.accept(code) and system != syntax.system:
            return f"The codes are of {syntax.system}."
        if isinstance(code, str) and (found := syntax.remedy(code)) is not None:
            return found
    return None


def _listed(codes: Iterable[str]) -> str:
    names = list(codes)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
