"""Findings as the cards that an EHR shows: https://cds-hooks.hl7.org/2.0/#cds-service-response

What content says stands in a card as text and as nothing else: Markdown, HTML and addresses in it are escaped
(https://github.github.com/gfm/#backslash-escapes), for a card is shown in the EHR's own window.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from apothecary.fhir.json import JSON
from apothecary.safety.asked import Remark
from apothecary.safety.found import INFORMATION, Finding, Found
from apothecary.safety.resources import ACT_CODE, NO_ADVICE, WORDS

# A summary has fewer than 140 characters, an answer no more cards, and a card no more remarks or characters of one.
SUMMARY, MOST, REMARKS, LONGEST = 139, 50, 100, 2000
# `critical` where the source itself calls it severe, and only there; what the source does not grade is not made small.
_INDICATORS = {"high": "critical", "moderate": "warning", "low": "info", None: "warning"}
_RANKS = {"critical": 0, "warning": 1, "info": 2}
# Of https://hl7.org/fhir/R5/valueset-detectedissue-mitigation-action.html what a prescriber may answer.
_REASONS = (
    ("1", "Therapy Appropriate"),
    ("2", "Assessed Patient"),
    ("3", "Patient Explanation"),
    ("4", "Consulted Other Source"),
    ("7", "Interacting Therapy No Longer Active/Planned"),
    ("22", "appropriate indication or diagnosis"),
    ("23", "prior therapy documented"),
)
OVERRIDE_REASONS: list[JSON] = [{"system": ACT_CODE, "code": code, "display": said} for code, said in _REASONS]
# What means something in Markdown: its marks, what begins a list or a heading where it stands first, and what makes an
# address of a text (https://github.github.com/gfm/#autolinks-extension-).
_MARKS = re.compile(
    r"[\\`*_{}\[\]<>&#|~@]|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=^\d\d\d)[.)]|:(?=//)|(?<=www)\.", re.IGNORECASE
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# Control characters, and those that turn the direction of what follows.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
LABEL = "Apothecary"
# What the last card is about.
SILENCE = "what was not checked"


def cards(found: Found, focus: Collection[int], base: str) -> list[JSON]:
    """The cards of an answer: one for each finding that is about a drug in `focus`, the gravest first, and a last one
    that says what was not understood and not looked at. `base` is the address of this server's content.
    """
    about = [one for one in found.issues if any(drug.number in focus for drug in one.drugs)]
    about.sort(key=lambda one: _RANKS[indicator(one)])
    made = [_card(one, base) for one in about[:MOST]]
    aside = len(found.issues) - len(about)
    return [*made, _silence(found, base, len(about) - len(made), aside, stated=bool(about))]


def indicator(finding: Finding) -> str:
    """How urgent a card is: by what the source says, and not by what is concluded."""
    return "info" if finding.kind in INFORMATION else _INDICATORS[finding.severity]


def _card(finding: Finding, base: str) -> JSON:
    statement = f"{base}/{finding.statement}" if finding.statement else base
    lines = [escaped(finding.text), ""]
    if finding.severity_text or finding.severity:
        lines += [f"**Severity per the source:** {escaped(finding.severity_text or finding.severity or '')}", ""]
    if finding.management:
        lines += ["**What the source says to do:**", *(f"- {escaped(one)}" for one in finding.management), ""]
    if finding.chain:
        lines += ["**Why it concerns this list:**"]
        lines += [*(f"{number}. {escaped(one)}" for number, one in enumerate(finding.chain, 1)), ""]
    lines.append("This is what the source states, and no advice.")
    source: JSON = {"label": plain(finding.source.label if finding.source else "", 200) or LABEL}
    url = finding.source.url if finding.source is not None and finding.source.url else statement
    if _is_web(url):
        source["url"] = url
    made: JSON = {
        "uuid": _identity(finding.statement or finding.kind),
        "summary": plain(_summary(finding), SUMMARY),
        "detail": "\n".join(lines),
        "indicator": indicator(finding),
        "source": source,
    }
    if finding.kind not in INFORMATION:
        made["overrideReasons"] = OVERRIDE_REASONS
    if finding.statement and _is_web(statement):
        made["links"] = [{"label": "The statement", "url": statement, "type": "absolute"}]
    return made


def _summary(finding: Finding) -> str:
    names = " + ".join(one.name for one in finding.drugs)
    about = f" ({finding.about})" if finding.about else ""
    return f"{WORDS.get(finding.kind, 'Per the source')}: {names}{about}"


def _identity(about: str) -> str:
    """A UUID of version 8 (https://www.rfc-editor.org/rfc/rfc9562#section-5.8): its first 48 bits are those of every
    card about the same, so that feedback on it can be counted without keeping cards.
    """
    value = (int(statement_mark(about), 16) << 80) | (uuid.uuid4().int & (2**80 - 1))
    value = value & ~(0xF << 76) | (8 << 76)
    return str(uuid.UUID(int=value & ~(0x3 << 62) | (0x2 << 62)))


def statement_mark(about: str) -> str:
    """What the UUIDs of cards begin with: 12 hexadecimal digits. `about` is a statement, a kind of finding that no
    statement makes, or SILENCE.
    """
    return sha256(about.encode()).hexdigest()[:12]


def mark_of(card: str) -> str:
    """The mark in the UUID of a card; empty where it is no UUID of ours."""
    digits = card.replace("-", "").lower()
    return digits[:12] if digits[12] == "8" else ""


def _silence(found: Found, base: str, more: int, aside: int, *, stated: bool) -> JSON:
    """The card that says what the others do not."""
    lines = []
    if not stated:
        lines += ["Nothing is stated here against these orders. That is no evidence that there is nothing.", ""]
    if more:
        lines += [f"{more} more findings are not shown: `MedicationKnowledge/$detect-issues` gives all.", ""]
    if aside:
        lines += [f"{aside} findings are only about what is taken already, and are not shown here.", ""]
    lines += _listed("Not understood", found.not_understood)
    lines += _listed("Not looked at", found.not_looked_at)
    if found.release:
        lines += [f"Answered from: {escaped(found.release)}", ""]
    lines.append(NO_ADVICE)
    understood, looked = len(found.not_understood), len(found.not_looked_at)
    summary = f"What was not checked: {understood} not understood, {looked} not looked at"
    if not stated:
        summary = f"Nothing stated here, which proves nothing. {summary}"
    source: JSON = {"label": LABEL}
    if _is_web(base):
        source["url"] = base
    return {
        "uuid": _identity(SILENCE),
        "summary": plain(summary, SUMMARY),
        "detail": "\n".join(lines),
        "indicator": "info",
        "source": source,
    }


def _listed(title: str, remarks: Sequence[Remark]) -> Iterator[str]:
    if not remarks:
        return
    yield f"**{title}:**"
    yield from (f"- {escaped(one.text)}" for one in remarks[:REMARKS])
    if len(remarks) > REMARKS:
        yield f"- and {len(remarks) - REMARKS} more"
    yield ""


def plain(text: str, longest: int) -> str:
    """A text of one line, shortened where it is longer."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def escaped(text: str) -> str:
    """A text that stands in Markdown as itself: no mark-up, no HTML, and no address that would become a link."""
    return _MARKS.sub(lambda mark: _ENTITIES.get(mark[0], f"\\{mark[0]}"), plain(text, LONGEST))


def _is_web(url: str) -> bool:
    """Whether an address is one that a browser may open: absolute, and of no scheme that runs something."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        return False
