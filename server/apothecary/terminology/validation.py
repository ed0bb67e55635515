"""Whether codes are in a value set or code system, with what is to be said of them.

https://hl7.org/fhir/R5/valueset-operation-validate-code.html and
https://hl7.org/fhir/R5/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from apothecary.errors import Issue
from apothecary.terminology import displays
from apothecary.terminology import remarks as say
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compose import Entry, Members, Question, Steps
from apothecary.terminology.languages import Languages, named
from apothecary.terminology.problems import UnknownCodeSystem, UnknownValueSet, VersionRefused
from apothecary.terminology.remarks import Place
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.versions import matches


@dataclass(frozen=True, slots=True)
class Coding:
    """A code to look at; `system` is None where the request does not say it."""

    system: str | None
    code: str
    display: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request says of the validation; the names are those of the operation's parameters."""

    languages: Languages | None = None
    lenient_display_validation: bool = False
    infer_system: bool = False
    abstract: bool = True
    active_only: bool = False
    membership_only: bool = False


@dataclass(slots=True)
class Judgement:
    """What was found out of one coding. `inside` says whether it is in the value set or code system; what is wrong
    besides, such as its display, is in `issues`.
    """

    coding: Coding
    inside: bool = False
    issues: list[Issue] = field(default_factory=list)
    system: CodeSystem | None = None
    entry: Entry | None = None
    display: str = ""
    unknown: list[str] = field(default_factory=list)
    """Code systems that are not held, of which the code is said to be."""
    cause: list[str] = field(default_factory=list)
    """Code systems that are not held, on which the answer rests."""

    @property
    def result(self) -> bool:
        return self.inside and not any(one.severity in ("error", "fatal") for one in self.issues)

    @property
    def inactive(self) -> bool:
        return self.entry is not None and self.entry.inactive


class Validator:
    """Judges codings. `resolver` finds their code systems."""

    def __init__(self, resolver: Resolver, rules: Rules) -> None:
        self._resolver = resolver
        self._rules = rules

    # -- value sets

    def in_value_set(self, members: Members, coding: Coding, place: Place) -> Judgement:
        """Judge a coding by a value set. Raises NotEnumerable and TooCostly where it cannot be told."""
        found = Judgement(coding)
        if coding.system is None:
            return self._without_system(members, found, place)
        steps = Steps(members.name)
        system = self._system(found, coding.system, place)
        entry = members.find(Question(coding.system, coding.code, coding.version), steps)
        if system is None:
            return self._of_unknown_system(members, found, entry, place)
        # Without a version the code is of the version that the value set speaks of.
        meant = entry.system if entry is not None else members.system(coding.system)
        system = found.system = meant if meant is not None and coding.version is None else system
        if entry is None:
            return self._outside(members, found, system, place)
        found.entry = entry
        barred = entry.barred or (self._rules.active_only and entry.inactive)
        if entry.concept is None and entry.system is None:
            concept = system.find(coding.code)
            found.entry = entry if concept is None else replace(entry, system=system, concept=concept)
        if barred:
            found.issues += [say.not_active(coding, place), say.not_in(coding, members, place)]
        else:
            found.inside = True
        self._remark(found, members, place)
        return found

    def _outside(self, members: Members, found: Judgement, system: CodeSystem, place: Place) -> Judgement:
        coding = found.coding
        missing = members.missing(coding.system)
        if isinstance(missing, UnknownValueSet | UnknownCodeSystem | VersionRefused):
            found.issues.append(replace(missing.issues[0], remedy=None))
            if isinstance(missing, UnknownCodeSystem):
                found.cause.append(missing.canonical)
            self._describe(found, system)
            return found
        if missing is not None:
            raise missing
        concept = system.find(coding.code)
        if concept is None and system.may_have(coding.code) and self._open(members, coding.system):
            found.issues.append(say.not_in_fragment(coding, system, place))
            found.inside = True
            return found
        found.issues.append(say.not_in(coding, members, place))
        other = (
            members.find(Question(coding.system or "", coding.code), Steps(members.name)) if coding.version else None
        )
        if other is not None:
            found.issues.append(say.other_version(coding, other, place))
        if concept is None:
            if not self._rules.membership_only:
                found.issues.append(say.unknown_code(coding, system, place))
            return found
        self._describe(found, system)
        if coding.display and found.entry is not None and not self._rules.membership_only:
            self._check_display(found, found.entry, coding.display, place)
        return found

    @staticmethod
    def _open(members: Members, url: str | None) -> bool:
        """Whether the value set takes whatever is a code of that system."""
        return any(
            one.url == url and one.listed is None and one.tests is None and not one.sets for one in members.includes
        )

    def _of_unknown_system(self, members: Members, found: Judgement, entry: Entry | None, place: Place) -> Judgement:
        """The code system is not held: the value set may list the code all the same."""
        coding = found.coding
        if entry is not None:
            found.inside, found.entry = True, entry
            found.issues = [replace(one, severity="warning") for one in found.issues]
            self._remark(found, members, place)
            return found
        missing = members.missing(coding.system)
        if isinstance(missing, UnknownCodeSystem):
            found.cause, found.unknown = [missing.canonical], []
            return found
        if missing is not None and not isinstance(missing, UnknownValueSet):
            raise missing
        found.issues.insert(0, say.not_in(coding, members, place))
        return found

    def _without_system(self, members: Members, found: Judgement, place: Place) -> Judgement:
        coding = found.coding
        if not self._rules.infer_system:
            found.issues = [say.not_in(coding, members, place), say.no_system(place)]
            return found
        holding = []
        for url in members.systems():
            entry = members.find(Question(url, coding.code), Steps(members.name))
            if entry is not None:
                holding.append(url)
        if len(holding) == 1:
            return self.in_value_set(members, replace(coding, system=holding[0]), place)
        if not holding and (missing := members.missing(None)) is not None:
            raise missing
        found.issues = [say.not_in(coding, members, place), say.cannot_infer(coding, members, holding, place)]
        return found

    # -- code systems

    def in_code_system(self, coding: Coding, place: Place, system: CodeSystem | None = None) -> Judgement:
        """Judge a coding by its code system, or by `system`, which must be its own."""
        found = Judgement(coding)
        if coding.system is None and system is None:
            found.issues = [say.no_system(place)]
            return found
        if system is None:
            system = self._system(found, coding.system or "", place)
            if system is None:
                return found
        elif coding.system not in (None, system.url):
            found.issues = [say.other_system(coding, system, place)]
            return found
        elif coding.version is not None and not matches(coding.version, system.version):
            found.issues = [say.other_version_of_system(coding, system, place)]
            return found
        found.coding = replace(coding, system=system.url)
        found.system = system
        if not system.held:
            error = UnknownCodeSystem(system.url, None, ())
            found.issues = [replace(error.issues[0], expression=(place.system,), remedy=None)]
            found.unknown = [system.canonical]
            return found
        self._describe(found, system)
        if found.entry is None:
            if not system.may_have(coding.code):
                found.issues = [say.unknown_code(found.coding, system, place)]
            else:
                found.issues = [say.not_in_fragment(found.coding, system, place)]
                found.inside = True
            return found
        found.inside = True
        self._remark(found, None, place)
        return found

    # -- what is said

    def _system(self, found: Judgement, url: str, place: Place) -> CodeSystem | None:
        """The code system of the coding; None, with issues, where there is none."""
        if ":" not in url:
            found.issues.append(say.relative_system(place))
        elif self._resolver.holds_value_set(url):
            found.issues.append(say.system_is_value_set(url, place))
            return None
        try:
            system = self._resolver.code_system(url, found.coding.version)
        except UnknownCodeSystem as error:
            found.issues.append(replace(error.issues[0], expression=(place.system,), remedy=None))
            found.unknown.append(error.canonical)
            return None
        except VersionRefused as error:
            found.issues.append(replace(error.issues[0], expression=(place.system,)))
            return None
        if system.content == "supplement":
            found.issues.append(say.system_is_supplement(system, place))
            found.cause.append(url)
            return None
        return system

    def _describe(self, found: Judgement, system: CodeSystem) -> None:
        """Find the concept, and the display that answers show."""
        concept = system.find(found.coding.code)
        if concept is not None:
            found.entry = Entry(system.url, system.version, concept.code, system, concept)
            found.display = named(found.entry).shown(self._rules.languages)[0] or concept.display

    def _remark(self, found: Judgement, members: Members | None, place: Place) -> None:
        """What is to be said of a code that was found: its display, its status, its case."""
        coding, entry = found.coding, found.entry
        if entry is None:
            return
        languages = self._rules.languages
        if languages is None and members is not None:
            languages = say.languages_of(members)
        found.display = named(entry).shown(languages)[0] or entry.display
        if self._rules.membership_only:
            return
        system, concept = entry.system, entry.concept
        if entry.code != coding.code and system is not None:
            found.issues.append(say.other_case(coding, entry, system, place))
        if system is not None:
            found.issues += say.of_publication(system, members)
        if system is not None and concept is not None:
            if not self._rules.abstract and system.is_abstract(concept):
                found.issues.append(say.abstract(coding, place))
                if members is not None:
                    found.issues.append(say.not_in(coding, members, place))
            status = system.status(concept)
            if entry.inactive:
                found.issues.append(say.inactive(coding, status, place))
            elif status in ("deprecated", "withdrawn"):
                found.issues.append(say.deprecated(coding, status, place))
        if members is not None and say.is_deprecated_in(entry):
            found.issues.append(say.deprecated_in(coding, members, place))
        if coding.display:
            self._check_display(found, entry, coding.display, place, languages)

    def _check_display(
        self, found: Judgement, entry: Entry, display: str, place: Place, languages: Languages | None = None
    ) -> None:
        languages = languages or self._rules.languages
        lenient = self._rules.lenient_display_validation
        issue = displays.check(entry, display, languages, place.display, lenient=lenient)
        if issue is not None:
            found.issues.append(issue)


# Issues, by their code or the id of their message, that say nothing against the code.
_BESIDE = frozenset({"this-code-not-in-vs", "display-comment", "status-check", "UNKNOWN_CODE_IN_FRAGMENT"})


def message(issues: Sequence[Issue]) -> str | None:
    """The issues as one text, None where there is nothing that concerns the whole."""
    told = [one.diagnostics for one in issues if one.kind not in _BESIDE and one.message not in _BESIDE]
    told = [one for one in told if not one.startswith(say.DEPRECATED_IN)]
    return "; ".join(sorted(dict.fromkeys(told))) or None
