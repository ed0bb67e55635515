"""What is said of a code that is judged; the codes and the ids of the messages are those of HL7's terminology tests.

https://hl7.org/fhir/tools/CodeSystem/tx-issue-type and https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from apothecary.errors import Issue
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compose import Entry, Members
from apothecary.terminology.languages import Languages, of_value_set
from apothecary.terminology.model import objects
from apothecary.terminology.publication import publication

_DEPRECATED = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
# How the remark begins that says that much of the value set and not of the code.
DEPRECATED_IN = "The presence of the concept"


class Coding(Protocol):
    """The coding that a remark is about."""

    @property
    def system(self) -> str | None: ...
    @property
    def code(self) -> str: ...
    @property
    def display(self) -> str | None: ...
    @property
    def version(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the coding stands in the request: its FHIRPath, empty where it is the parameters code, system, display."""

    path: str = ""

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    @property
    def code(self) -> str:
        return self._at("code")

    @property
    def system(self) -> str:
        return self._at("system")

    @property
    def display(self) -> str:
        return self._at("display")

    @property
    def version(self) -> str:
        return self._at("version")

    @property
    def whole(self) -> str:
        return self.path or "code"


def languages_of(members: Members) -> Languages | None:
    """The languages that a value set itself wants its displays in."""
    said = of_value_set(members.resource)
    return None if said is None else Languages.parse(said, "ValueSet.language")


def not_in(coding: Coding, members: Members, place: Place) -> Issue:
    said = f" ('{coding.display}')" if coding.display else ""
    text = (
        f"The provided code '{coding.system or ''}#{coding.code}{said}' was not found in the value set '{members.name}'"
    )
    message = "None_of_the_provided_codes_are_in_the_value_set_one"
    return Issue("error", "code-invalid", text, (place.code,), kind="not-in-vs", message=message)


def none_in(members: Members) -> Issue:
    text = f"No valid coding was found for the value set '{members.name}'"
    return Issue("error", "code-invalid", text, kind="not-in-vs", message="TX_GENERAL_CC_ERROR_MESSAGE")


def unknown_code(coding: Coding, system: CodeSystem, place: Place) -> Issue:
    version = f" version '{system.version}'" if system.version else ""
    text = f"Unknown code '{coding.code}' in the CodeSystem '{system.url}'{version}"
    return Issue("error", "code-invalid", text, (place.code,), kind="invalid-code", message="Unknown_Code_in_Version")


def not_in_fragment(coding: Coding, system: CodeSystem, place: Place) -> Issue:
    version = f" version '{system.version}'" if system.version else ""
    text = (
        f"Unknown Code '{coding.code}' in the CodeSystem '{system.url}'{version} - note that only a part of the code "
        f"system is held here ({system.content}), so the code may be valid in some other part"
    )
    message = "UNKNOWN_CODE_IN_FRAGMENT"
    return Issue("warning", "code-invalid", text, (place.code,), kind="invalid-code", message=message)


def not_active(coding: Coding, place: Place) -> Issue:
    text = f"The concept '{coding.code}' is valid but is not active"
    return Issue("error", "business-rule", text, (place.code,), kind="code-rule", message="STATUS_CODE_WARNING_CODE")


def inactive(coding: Coding, status: str | None, place: Place) -> Issue:
    said = f"{status} and inactive" if status not in (None, "inactive", "active") else "inactive"
    text = f"The concept '{coding.code}' has a status of {said} and its use should be reviewed"
    return Issue(
        "warning", "business-rule", text, (place.whole,), kind="code-comment", message="INACTIVE_CONCEPT_FOUND"
    )


def deprecated(coding: Coding, status: str, place: Place) -> Issue:
    text = f"The concept '{coding.code}' is {status} and its use should be reviewed"
    return Issue(
        "warning", "business-rule", text, (place.whole,), kind="code-comment", message="DEPRECATED_CONCEPT_FOUND"
    )


def is_deprecated_in(entry: Entry) -> bool:
    """Whether the value set itself says that the code should no longer be taken from it."""
    return any(
        one.get("url") == _DEPRECATED and one.get("valueBoolean") is True
        for one in objects(entry.element.get("extension"))
    )


def deprecated_in(coding: Coding, members: Members, place: Place) -> Issue:
    text = (
        f"{DEPRECATED_IN} '{coding.code}' in the system '{coding.system}' in the value set {members.name} "
        "is marked with a status of deprecated and its use should be reviewed"
    )
    message = "CONCEPT_DEPRECATED_IN_VALUESET"
    return Issue("warning", "business-rule", text, (place.code,), kind="code-comment", message=message)


def of_publication(system: CodeSystem, members: Members | None) -> list[Issue]:
    """That the value set, or the code system that its code is of, is withdrawn, a draft or the like."""
    own = None if members is None else publication(members.resource)
    words = [("CodeSystem", system.canonical, system.publication.warning(own))]
    if members is not None and own is not None:
        words.append(("ValueSet", members.name, own.warning(None)))
    return [_status(kind, canonical, word) for kind, canonical, word in words if word is not None]


def _status(kind: str, canonical: str, word: str) -> Issue:
    text = f"Reference to {word} {kind} {canonical}"
    return Issue("information", "business-rule", text, kind="status-check", message=f"MSG_{word.upper()}")


def abstract(coding: Coding, place: Place) -> Issue:
    text = f"Code '{coding.system}#{coding.code}' is abstract, and not allowed in this context"
    return Issue("error", "business-rule", text, (place.code,), kind="code-rule", message="ABSTRACT_CODE_NOT_ALLOWED")


def other_case(coding: Coding, entry: Entry, system: CodeSystem, place: Place) -> Issue:
    text = (
        f"The code '{coding.code}' differs from the correct code '{entry.code}' by case. Although the code system "
        f"'{system.canonical}' is case insensitive, implementers are strongly encouraged to use the correct case anyway"
    )
    return Issue("information", "business-rule", text, (place.code,), kind="code-rule", message="CODE_CASE_DIFFERENCE")


def no_system(place: Place) -> Issue:
    text = (
        "Coding has no system. A code with no system has no defined meaning, and it cannot be validated. "
        "A system should be provided"
    )
    message = "Coding_has_no_system__cannot_validate"
    return Issue("warning", "invalid", text, (place.whole,), kind="invalid-data", message=message)


def cannot_infer(coding: Coding, members: Members, holding: Sequence[str], place: Place) -> Issue:
    start = f"The System URI could not be determined for the code '{coding.code}' in the ValueSet '{members.name}'"
    if holding:
        text = f"{start}: value set expansion has multiple matches: [{', '.join(holding)}]"
        message = "Unable_to_resolve_system__value_set_has_multiple_matches"
    else:
        text, message = start, "UNABLE_TO_INFER_CODESYSTEM"
    return Issue("error", "not-found", text, (place.code,), kind="cannot-infer", message=message)


def relative_system(place: Place) -> Issue:
    text = "Coding.system must be an absolute reference, not a local reference"
    return Issue(
        "error", "invalid", text, (place.system,), kind="invalid-data", message="Terminology_TX_System_Relative"
    )


def system_is_value_set(url: str, place: Place) -> Issue:
    text = f"The Coding references a value set, not a code system ('{url}')"
    message = "Terminology_TX_System_ValueSet2"
    return Issue("error", "invalid", text, (place.system,), kind="invalid-data", message=message)


def system_is_supplement(system: CodeSystem, place: Place) -> Issue:
    text = f"CodeSystem {system.canonical} is a supplement, so can't be used as a value in Coding.system"
    return Issue("error", "invalid", text, (place.system,), kind="invalid-data", message="CODESYSTEM_CS_NO_SUPPLEMENT")


def other_system(coding: Coding, system: CodeSystem, place: Place) -> Issue:
    text = (
        f"The code is of the CodeSystem '{coding.system}', not of '{system.url}', which it is to be validated against"
    )
    return Issue("error", "invalid", text, (place.system,), kind="invalid-data")


def other_version(coding: Coding, entry: Entry, place: Place) -> Issue:
    text = (
        f"The code system '{coding.system}' version '{entry.version or ''}' in the ValueSet include is different to "
        f"the one in the value ('{coding.version}')"
    )
    return Issue("error", "invalid", text, (place.version,), kind="vs-invalid", message="VALUESET_VALUE_MISMATCH")


def other_version_of_system(coding: Coding, system: CodeSystem, place: Place) -> Issue:
    text = f"The code is of version '{coding.version}' of '{system.url}', not of version '{system.version or ''}'"
    return Issue("error", "invalid", text, (place.version,), kind="invalid-data")
