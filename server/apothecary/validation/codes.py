"""Codes by what their code systems say of them, whatever an element is bound to: whether there is such a code, whether
its display is one of its names, and whether it should still be used.

https://hl7.org/fhir/R5/terminologies.html and https://hl7.org/fhir/R5/codesystem.html#status. Asked are HL7's own code
systems, in the package as HL7 has them today and as the releases published them, and those of packages at hand. A code
is unknown if all of them are complete and none has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from apothecary.fhir.caches import short_cache
from apothecary.fhir.code_forms import WRITTEN
from apothecary.fhir.definitions import CodeSystem, definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.releases import FhirVersion
from apothecary.suggestions import did_you_mean
from apothecary.validation.concepts import WITHDRAWN, Said, System
from apothecary.validation.diagnostics import shown
from apothecary.validation.meant import is_named
from apothecary.validation.mends import SYSTEMS
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

# Other publishers keep these, and nobody here has all their codes.
_OTHERS = frozenset(SYSTEMS)
_MARKS = re.compile(r"[\W_]+")
_LANGUAGE = "http://hl7.org/fhir/StructureDefinition/language"


class Remark(NamedTuple):
    """What is wrong with a Coding: the rule, which of its elements, and the words."""

    rule: str
    key: str
    text: str
    remedy: str | None = None


class Published:
    """A code system of HL7's tables."""

    def __init__(self, table: CodeSystem, version: str | None) -> None:
        self._table = table
        self.version = version
        self.complete = table.content == "complete"
        self._folded = {code.casefold(): code for code in table.concepts} if table.case_sensitive is False else {}

    def codes(self) -> Iterable[str]:
        """All codes."""
        return self._table.concepts

    def said(self, code: str) -> Said | None:
        """What it says of a code, None where it has no such code."""
        table = self._table
        written = code if code in table.concepts else self._folded.get(code.casefold())
        if written is None:
            return None
        display = table.concepts[written]
        names = [(display, "en")] if display else []
        names += [(one.value, one.language) for one in table.names.get(written, ())]
        status = next(iter(self._values("status", written)), None)
        if "true" in self._values("inactive", written):
            status = "inactive"
        return Said(
            tuple(names),
            status if status in WITHDRAWN else None,
            "true" in self._values("notSelectable", written),
        )

    def _values(self, name: str, code: str) -> tuple[str, ...]:
        return self._table.properties.get(name, {}).get(code, ())


def check_coding(value: dict[str, Any], at: At, run: Run) -> None:
    """Check a Coding by the code systems that are held of its system; nothing is known of others."""
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return
    if system in WRITTEN and not _fits_form(system, code):
        form = WRITTEN[system]
        text = f"is {shown(code)}, which is not {form.meaning} ({form.source})"
        run.report(BASE["code-form"], at, text, key="code")
        return
    profiles = run.options.profiles
    if profiles is None and system in _OTHERS:
        return
    version, display = _text(value, "version"), _text(value, "display")
    language = _language(value, run)
    own = () if profiles is None else profiles.code_systems(system, run.tables.version)
    if own:
        found = _remarks(own, run.tables.version, system, code, version, display, language)
    elif system in _OTHERS:
        return
    else:
        found = _known(run.tables.version, system, code, version, display, language)
    if found is None:
        run.unchecked(f"{system}|{version} is not held: its code {shown(code)} was not looked up")
        return
    for one in found:
        run.report(BASE[one.rule], at, one.text, key=one.key, remedy=one.remedy)


@short_cache(8192)
def _fits_form(system: str, code: str) -> bool:
    return WRITTEN[system].fits(code)


def _text(value: Mapping[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None


def _language(value: Mapping[str, Any], run: Run) -> str | None:
    """The language of a display: its own, else that of the resource (https://hl7.org/fhir/R5/languages.html)."""
    twin = value.get("_display")
    extensions = twin.get("extension") if isinstance(twin, dict) else None
    for one in extensions if isinstance(extensions, list) else ():
        if isinstance(one, dict) and one.get("url") == _LANGUAGE:
            return _text(one, "valueCode")
    resource = run.resource
    return _text(resource, "language") if isinstance(resource, dict) else None


@short_cache(8192)
def _known(
    release: FhirVersion, system: str, code: str, version: str | None, display: str | None, language: str | None
) -> tuple[Remark, ...] | None:
    return _remarks((), release, system, code, version, display, language)


@short_cache(1024)
def _today(release: FhirVersion, system: str) -> tuple[Published, ...]:
    """What HL7 publishes of a code system that it keeps itself: today's first, then that of the release."""
    shared = hl7_terminology().code_system(system) if is_named(system) else None
    table = definitions(release).code_system(system)
    return (*_of(shared, None), *_of(table, release))


@short_cache(1024)
def _before(release: FhirVersion, system: str) -> tuple[Published, ...]:
    """What the other releases have of it: asked only about what is not known else, because they take long to read."""
    others = (one for one in FhirVersion if one is not release)
    return tuple(found for one in others for found in _of(definitions(one).code_system(system), one))


def _of(table: CodeSystem | None, release: FhirVersion | None) -> Iterator[Published]:
    if table is not None and table.concepts and table.content in ("complete", "fragment"):
        yield Published(table, table.version or (None if release is None else release.number))


def _remarks(
    own: tuple[System, ...],
    release: FhirVersion,
    system: str,
    code: str,
    version: str | None,
    display: str | None,
    language: str | None,
) -> tuple[Remark, ...] | None:
    """What is wrong with a code; None where its version is not held. `own` are the code systems of packages."""
    held: tuple[System, ...] = (*own, *_today(release, system))
    asked, found = _asked(held, code, version)
    if not found and (held or "hl7.org" in system):
        held = (*held, *_before(release, system))
        asked, found = _asked(held, code, version)
    if held and not asked:
        return None
    return tuple(_about(found, code, display, language) if found else _unknown(asked, system, code))


def _asked(held: tuple[System, ...], code: str, version: str | None) -> tuple[list[System], list[Said]]:
    """The code systems of the version that is named, and what they say of the code."""
    asked = [one for one in held if version is None or _fits(version, one.version)]
    return asked, [said for one in asked if (said := one.said(code)) is not None]


def _fits(wanted: str, version: str | None) -> bool:
    return version is not None and (version == wanted or version.startswith(f"{wanted}."))


def _unknown(asked: list[System], system: str, code: str) -> Iterator[Remark]:
    if asked and all(one.complete for one in asked):
        text = f"is {shown(code)}, which is not a code of {system}"
        yield Remark("code-unknown", "code", text, did_you_mean(code, asked[0].codes()))


def _about(found: list[Said], code: str, display: str | None, language: str | None) -> Iterator[Remark]:
    newest = found[0]
    if newest.status is not None:
        yield Remark("code-withdrawn", "code", f"is {shown(code)}, which is {newest.status}")
    if newest.abstract:
        yield Remark("code-abstract", "code", f"is {shown(code)}, which only groups other codes")
    if not display:
        return
    names = [name for said in found for name in said.names]
    right = [name for name, of in names if language is None or not of or _speaks(language, of)]
    # A display in a language in which the code has no name cannot be judged.
    if right and _plain(display) not in {_plain(name) for name, of in names if name in right or of in ("", "en")}:
        meant = " or ".join(shown(name) for name in dict.fromkeys(right[:5]))
        yield Remark("display-wrong", "display", f"is {shown(display)}, but the code is {meant}", f"Write {meant}.")


def _speaks(language: str, of: str) -> bool:
    """Whether a name in `of` is one in `language`, regions aside."""
    return language.partition("-")[0].casefold() == of.partition("-")[0].casefold()


def _plain(name: str) -> str:
    """A name without what displays differ in for no reason: case, white space, hyphens and other marks."""
    return _MARKS.sub(" ", name).strip().casefold() or name
