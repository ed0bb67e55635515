"""What is wrong with a code, a value set or what they rest on, in the words that terminology servers agreed on.

https://hl7.org/fhir/R5/terminology-service.html and the codes of https://hl7.org/fhir/tools/CodeSystem/tx-issue-type
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apothecary.errors import BadRequest, FhirError, Issue, NotFound, TooCostly, UnknownTerminology, Unprocessable


class UnknownCodeSystem(UnknownTerminology):
    """A code system, or the version of one, that is not held."""

    def __init__(self, url: str, version: str | None = None, versions: Iterable[str | None] = ()) -> None:
        self.url, self.version = url, version
        self.versions = tuple(one for one in versions if one)
        if version is None:
            text = f"A definition for CodeSystem '{url}' could not be found, so the code cannot be validated"
            message = "UNKNOWN_CODESYSTEM"
        else:
            held = f"Valid versions: {', '.join(self.versions)}" if self.versions else "No versions of it are held"
            text = (
                f"A definition for CodeSystem '{url}' version '{version}' could not be found, so the code cannot be "
                f"validated. {held}"
            )
            message = "UNKNOWN_CODESYSTEM_VERSION"
        remedy = "Load the CodeSystem, or name one that [base]/CodeSystem lists."
        super().__init__(text, issues=[Issue("error", "not-found", text, (), None, remedy, None, "not-found", message)])

    @property
    def canonical(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url


class VersionRefused(BadRequest):
    """The version of a code system or value set that was found is not the one that a request demands."""

    def __init__(self, url: str, version: str | None, demanded: str) -> None:
        text = (
            f"The version '{version or ''}' is not allowed for system '{url}': required to be '{demanded}' by a "
            "version-check parameter"
        )
        issue = Issue("error", "exception", text, kind="version-error", message="VALUESET_VERSION_CHECK")
        super().__init__(text, issues=[issue])


class UnknownValueSet(UnknownTerminology):
    """A value set, or the version of one, that is not held."""

    def __init__(self, canonical: str, versions: Iterable[str | None] = (), why: str = "") -> None:
        self.canonical = canonical
        held = ", ".join(one for one in versions if one)
        why = why or (f"the versions that are held: {held}" if held else "")
        text = f"A definition for the value Set '{canonical}' could not be found" + (f"; {why}" if why else "")
        issue = Issue(
            "error",
            "not-found",
            text,
            kind="not-found",
            message="Unable_to_resolve_value_Set_",
            remedy="Load the ValueSet, or name one that [base]/ValueSet lists.",
        )
        super().__init__(text, issues=[issue])


def not_found(error: UnknownTerminology, *expression: str) -> NotFound:
    """The same, for an operation that was asked about what is not there."""
    return NotFound(str(error), issues=[replace(one, expression=expression) for one in error.issues])


def missing_supplement(canonicals: Iterable[str]) -> FhirError:
    """A supplement that is wanted and not held: without it the answer would be another."""
    listed = ", ".join(canonicals)
    text = f"Required supplement not found: {listed}"
    return UnknownTerminology(
        text, issues=[Issue("error", "not-found", text, kind="not-found", message="VALUESET_SUPPLEMENT_MISSING")]
    )


def circle(name: str, way: Iterable[str]) -> FhirError:
    """Value sets that include or exclude each other."""
    listed = " -> ".join(way)
    text = f"The value set {name} includes itself: {listed}"
    issue = Issue("error", "processing", text, kind="vs-invalid", message="VALUESET_CIRCULAR_REFERENCE")
    return Unprocessable(text, issues=[issue])


def invalid_value_set(text: str, expression: str = "", message: str | None = None, code: str = "invalid") -> FhirError:
    """A value set that breaks a rule of the specification."""
    where = (expression,) if expression else ()
    return BadRequest(text, issues=[Issue("error", code, text, where, kind="vs-invalid", message=message)])


def too_costly(name: str, limit: int) -> FhirError:
    """An expansion with more codes than this server gives at once."""
    text = f"The value set '{name}' expansion has too many codes to display (>{limit})"
    remedy = "Ask for pages with count and offset, or narrow the list with filter."
    issue = Issue("error", "too-costly", text, remedy=remedy, message="VALUESET_TOO_COSTLY")
    return TooCostly(text, issues=[issue])


def too_long(name: str) -> FhirError:
    """A value set whose evaluation takes more steps than are allowed."""
    text = f"The value set '{name}' is made from more codes and includes than can be evaluated here"
    return TooCostly(text, issues=[Issue("error", "too-costly", text, message="VALUESET_TOO_COSTLY")])
