"""The page on which a person checks a list: what is stated against these drugs, by whom, and what is not known.

It asks as `$detect-issues` does. A line that has no system is looked up here, and is taken only where one drug is
called so: https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from apothecary.errors import FhirError
from apothecary.fhir.json import JSON
from apothecary.interactions.search import search
from apothecary.operations.detect_issues_detect import detect
from apothecary.pages.answers import shown
from apothecary.pages.view import View
from apothecary.safety.asked import SEXES, Asked, AskedConcept, AskedDrug, Code, Remark
from apothecary.safety.found import Finding
from apothecary.safety.resources import NO_ADVICE, WORDS

KIND = "MedicationKnowledge"
FIELDS = ("drugs", "conditions", "allergies", "age", "sex", "pregnant", "lactating")
# A line is a name or a code, and no text; a list is longer than any that one person takes.
LONGEST, MOST = 300, 100
# Who is called alike is shown, up to so many.
_ALIKE = 6


def check_page(view: View, given: Mapping[str, str]) -> bytes:
    """The form, and below it what is stated; nothing where no drug is given."""
    values = {name: given.get(name, "") for name in FIELDS}
    found = None
    if any(values[name].strip() for name in ("drugs", "conditions", "allergies")):
        found = detect(view.service, view.version, view.base, _asked(view, values))
    return shown(
        "check.html",
        view,
        "Check a list",
        given=values,
        found=found,
        issues=[_shown(view, one) for one in found.issues] if found is not None else [],
        advice=NO_ADVICE,
    )


def _shown(view: View, finding: Finding) -> JSON:
    """A finding as the page has it."""
    source = finding.source
    return {
        "title": f"{WORDS.get(finding.kind, 'The source names this combination')}: "
        + " + ".join(one.name for one in finding.drugs)
        + (f" ({finding.about})" if finding.about else ""),
        "text": finding.text,
        "severity": finding.severity_text or finding.severity or "",
        "management": finding.management,
        "chain": finding.chain,
        "source": source.label if source is not None else "",
        "address": view.reference(source.url) if source is not None and source.url else None,
        "statement": finding.statement,
        "leads": view.to(finding.statement) if finding.statement else "",
    }


def _asked(view: View, values: Mapping[str, str]) -> Asked:
    asked = Asked()
    for text in _lines(asked, values["drugs"], "drugs"):
        drug = _drug(view, asked, text)
        if drug is not None:
            asked.drugs.append(drug)
    for name, into in (("conditions", asked.conditions), ("allergies", asked.allergies)):
        for text in _lines(asked, values[name], name):
            code = _code(text)
            into.append(AskedConcept(name, (code,)) if code is not None else AskedConcept(name, text=text))
    age = values["age"].strip()
    if age:
        try:
            asked.age = Decimal(age)
            if not asked.age.is_finite() or not 0 <= asked.age <= 150:
                raise InvalidOperation
        except InvalidOperation:
            asked.age = None
            asked.not_understood.append(Remark(f"the age {age[:40]!r} is no number of years"))
    asked.sex = SEXES.get(values["sex"])
    asked.pregnant = {"yes": True, "no": False}.get(values["pregnant"])
    asked.lactating = {"yes": True, "no": False}.get(values["lactating"])
    return asked


def _lines(asked: Asked, text: str, name: str) -> list[str]:
    lines = [" ".join(one.split()) for one in text.splitlines() if one.strip()]
    if len(lines) > MOST:
        asked.not_looked_at.append(Remark(f"{name}: only the first {MOST} lines were looked at"))
    long = [one for one in lines[:MOST] if len(one) > LONGEST]
    asked.not_understood += [Remark(f"{name}: {one[:60]}... is too long for a name or a code") for one in long]
    return [one for one in lines[:MOST] if len(one) <= LONGEST]


def _code(text: str) -> Code | None:
    """`system|code`; None for anything else."""
    system, bar, code = (part.strip() for part in text.partition("|"))
    return Code(system, code) if bar and system and code else None


def _drug(view: View, asked: Asked, text: str) -> AskedDrug | None:
    """The drug that a line names: by a code with its system, by a code or an NDC in any form, or by its whole name."""
    code = _code(text)
    if code is not None:
        return AskedDrug(text, (code,))
    for parameter in ("code", "drug-name:exact", "drug-name"):
        alike = _called(view, parameter, text)
        if parameter != "code" and len(alike) > 1:
            # Of those that have it among their names or begin so, the one that is called so first of all.
            alike = [one for one in alike if _names(one)[:1] == [text.casefold()]] or alike
        if len(alike) == 1:
            return AskedDrug(text, reference=f"{KIND}/{alike[0]['id']}", name=text)
        if alike:
            said = ", ".join(_title(one) for one in alike[:_ALIKE]) + (" and others" if len(alike) > _ALIKE else "")
            asked.not_understood.append(Remark(f"{text}: several drugs are called so ({said}): write the whole name"))
            return None
    asked.not_understood.append(Remark(f"{text}: no drug here has this name or code"))
    return None


def _called(view: View, parameter: str, text: str) -> list[JSON]:
    escaped = text.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|")
    pairs = [(parameter, escaped), ("_count", str(_ALIKE + 1)), ("_elements", "name,code")]
    try:
        bundle = json.loads(search(view.service, view.version, view.base, KIND, pairs))
    except FhirError:
        # A release, or a server, that does not serve the type or the parameter knows no names.
        return []
    return [one["resource"] for one in bundle.get("entry", ()) if one.get("search", {}).get("mode") == "match"]


def _names(resource: JSON) -> list[str]:
    code = resource.get("code", {})
    return [one.casefold() for one in (code.get("text"), *resource.get("name", ())) if isinstance(one, str)]


def _title(resource: JSON) -> str:
    code = resource.get("code", {})
    names = [code.get("text"), *resource.get("name", ()), resource.get("id")]
    return str(next(filter(None, names), ""))
