"""The drugs that `$match` finds and how they meet what was asked for: searches find them, and searches grade them.

https://hl7.org/fhir/R5/patient-operation-match.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial

from apothecary.errors import BadRequest, Issue
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import Clock
from apothecary.fhir.ucum import SYSTEM as UCUM
from apothecary.interactions.forms import body_in
from apothecary.interactions.search import prepare
from apothecary.operations.base import Call
from apothecary.operations.match_criteria import Code, Criteria, strengths
from apothecary.search.predicates import Compare, Predicate, Resource, all_of
from apothecary.search.query import Query
from apothecary.search.text import escape
from apothecary.search.words import words
from apothecary.store.contract import Hit

TYPE = "MedicationKnowledge"
# Drugs that are looked at, and of those that one search finds.
MOST, MOST_OF_ONE = 400, 200
# How much each kind of criterion counts, and how much of that what meets it in part.
WEIGHTS = {"code": 4, "name": 3, "strength": 2, "form": 1}
NEAR, WORDS, SIMILAR = 0.5, 0.7, 0.4
PROBABLE = Decimal("0.6")
# Words that look like shorter ones are too many.
_SHORTEST_ALIKE = 4


class Match:
    """A drug that may be meant: how it meets each kind of criterion, and in which words."""

    def __init__(self, hit: Hit, *, passed_over: bool) -> None:
        self.hit = hit
        self._passed_over = passed_over
        self.resource = parse(body_in(hit, FhirVersion.R5))
        self.levels: dict[str, tuple[float, str]] = {}

    def meets(self, kind: str, level: float, why: str) -> None:
        """Note how it meets a criterion; of several of a kind the best counts."""
        if level > self.levels.get(kind, (-1.0, ""))[0]:
            self.levels[kind] = level, why

    @property
    def score(self) -> Decimal:
        """From 0 to 1: the share of what was asked for that it meets."""
        whole = sum(WEIGHTS[kind] for kind in self.levels)
        got = sum((Decimal(str(level)) * WEIGHTS[kind] for kind, (level, _) in self.levels.items()), Decimal(0))
        return (got / whole).quantize(Decimal("0.001"))

    @property
    def grade(self) -> str:
        """https://hl7.org/fhir/R5/valueset-match-grade.html: certain where it meets exactly all that was asked."""
        if not self._passed_over and all(level == 1 for level, _ in self.levels.values()):
            return "certain"
        return "probable" if self.score >= PROBABLE else "possible"

    @property
    def order(self) -> tuple[Decimal, bool, str]:
        """The best first, of equal ones the active one."""
        return -self.score, self.resource.get("status") != "active", self.hit.id

    def issue(self, place: int) -> Issue:
        """Why it stands at a place of the answer."""
        why = "; ".join(why for _, why in self.levels.values())
        status = self.resource.get("status", "of no status")
        said = f"{TYPE}/{self.hit.id}: {self.grade}: {why}.{'' if status == 'active' else f' It is {status}.'}"
        return Issue("information", "informational", said, (f"Bundle.entry[{place}]",))


class Matching:
    """One call: what is looked for, and what was found."""

    def __init__(self, call: Call, criteria: Criteria) -> None:
        self._call = call
        self._criteria = criteria
        self._known = call.service.registry(call.version).parameters(TYPE)
        self._clock = Clock()

    def graded(self) -> list[Match]:
        """All that may be meant, the best first."""
        found = {one.id: Match(one, passed_over=self._criteria.passed_over) for one in self._candidates()}
        left = [key for key, one in found.items() if one.resource.get("status") == "entered-in-error"]
        for key in left:
            del found[key]
        for grade in (self._codes, self._names, self._strengths, self._forms):
            grade(found)
        return sorted((one for one in found.values() if one.score > 0), key=lambda one: one.order)

    # -- searches

    def _asked(self, parameter: str, *values: str, modifier: str = "") -> Predicate | None:
        """A search as a predicate; None where it cannot be asked here, which is told."""
        if not values:
            return None
        if parameter not in self._known:
            if parameter != "identifier":  # R4 has none
                self._tell("incomplete", f"{TYPE} has no search parameter {parameter} here", parameter)
            return None
        name = f"{parameter}:{modifier}" if modifier else parameter
        call = self._call
        try:
            found = prepare(
                call.service, call.version, call.base, TYPE, [(name, ",".join(values))], strict=True, clock=self._clock
            )
        except BadRequest as error:
            self._tell("incomplete", f"{name} was not looked into: {error.issues[0].diagnostics}", name)
            return None
        return found.search.query.predicates[TYPE]

    def _tell(self, code: str, text: str, expression: str, remedy: str | None = None) -> None:
        """Say something of the search, once."""
        issue = Issue("warning", code, text, (expression,), remedy=remedy)
        if issue not in self._criteria.issues:
            self._criteria.issues.append(issue)

    def _search(self, *predicates: Predicate | None, most: int) -> tuple[list[Hit], bool]:
        """What meets all of them, and whether there is more."""
        wanted = all_of([one for one in predicates if one is not None])
        service = self._call.service
        page = service.reader.search(Query({TYPE: wanted}, count=most), service.settings.answer_limit)
        return list(page.hits), page.more_after

    def _among(self, found: dict[str, Match], predicate: Predicate | None) -> Iterator[Match]:
        """Those of what was found that meet a condition."""
        if predicate is None or not found:
            return
        hits, _ = self._search(Resource(Compare("id", "in", tuple(found))), predicate, most=len(found))
        yield from (found[one.id] for one in hits)

    def _candidates(self) -> Iterator[Hit]:
        """What has one of the codes or names. Where that is more than is looked at, what meets the other criteria, too,
        comes first.
        """
        seen: set[str] = set()
        for search in self._identities():
            if (predicate := search()) is None:
                continue
            hits, more = self._search(predicate, most=MOST_OF_ONE)
            if more:
                text = f"more than {MOST_OF_ONE} drugs have one of these names or codes: not all of them were looked at"
                self._tell("too-costly", text, "count", "Give a code, a strength or a form as well.")
                narrow = (self._search(predicate, *further, most=MOST_OF_ONE)[0] for further in self._refinements())
                hits = [*(one for some in narrow for one in some), *hits]
            for one in hits:
                if one.id not in seen and len(seen) < MOST:
                    seen.add(one.id)
                    yield one
        if not seen and (predicate := self._alike()) is not None:
            yield from self._search(predicate, most=MOST_OF_ONE)[0]

    def _identities(self) -> Iterator[Callable[[], Predicate | None]]:
        """The searches for what identifies a drug, those that are exact first."""
        codes = [_written(one) for one in self._criteria.codes]
        yield from (partial(self._asked, name, *codes) for name in ("code", "identifier"))
        names = self._criteria.names
        cases = dict.fromkeys(case for name in names for case in (name, name.lower(), name.upper(), name.capitalize()))
        yield partial(self._asked, "drug-name", *map(escape, cases), modifier="exact")
        yield from (partial(self._named, name) for name in names)
        for _, ask in self._near():
            yield ask

    def _near(self) -> Iterator[tuple[str, Callable[[], Predicate | None]]]:
        """The searches for what stands near a code, with how it does."""
        for code in self._criteria.codes:
            written = _written(code)
            if code.system is not None:
                yield f"is below {code}", partial(self._asked, "code", written, modifier="below")
                yield f"is above {code}", partial(self._asked, "code", written, modifier="above")
            yield f"contains {code}", partial(self._asked, "ingredient-code", written)
            yield f"is classified as {code}", partial(self._asked, "classification", written)
        if not self._criteria.codes:
            for code in self._criteria.ingredients:
                yield f"contains {code}", partial(self._asked, "ingredient-code", _written(code))

    def _named(self, name: str) -> Predicate | None:
        return self._asked("drug-name", _phrase(name), modifier="text")

    def _alike(self) -> Predicate | None:
        """Names with words that look like those that were given: asked for where nothing has the words themselves."""
        for name in self._criteria.names:
            alike = [len(word) >= _SHORTEST_ALIKE and word.isalpha() for word in words(name)]
            if any(alike):
                parts = (f"{word}~" if long else f'"{word}"' for word, long in zip(words(name), alike, strict=True))
                return self._asked("drug-name", " ".join(parts), modifier="text")
        return None

    def _refinements(self) -> Iterator[Sequence[Predicate]]:
        """Further conditions, the narrowest first, by which those are found first that meet more."""
        # As many digits as leave no room for another amount: https://hl7.org/fhir/R5/search.html#quantity
        amounts = [f"{one.value:.12f}|{UCUM}|{one.unit}" for one in self._criteria.strengths]
        strong = [found for one in amounts if (found := self._asked("strength", one)) is not None]
        form = [found] if (found := self._coded_form()) is not None else []
        if strong and form:
            yield [*strong, *form]
        if strong:
            yield strong
        if form:
            yield form

    def _coded_form(self) -> Predicate | None:
        return self._asked("doseform", *map(_written, self._criteria.form_codes))

    # -- grades

    def _codes(self, found: dict[str, Match]) -> None:
        criteria = self._criteria
        if not (criteria.codes or criteria.ingredients):
            return
        for one in found.values():
            one.meets("code", 0, "has none of the codes")
        for why, ask in self._near():
            for one in self._among(found, ask()):
                one.meets("code", NEAR, why)
        for code in criteria.codes:
            for parameter in ("code", "identifier"):
                for one in self._among(found, self._asked(parameter, _written(code))):
                    one.meets("code", 1, f"has the code {code}")

    def _names(self, found: dict[str, Match]) -> None:
        for one in found.values() if self._criteria.names else ():
            one.meets("name", 0, "has none of the names")
            level, name = max((_called(one.resource, name), name) for name in self._criteria.names)
            if level:
                said = f"is called {name}" if level == 1 else f"has the words of {name} in its names"
                one.meets("name", level, said)
        if found and self._criteria.names and all(one.levels["name"][0] == 0 for one in found.values()):
            for one in self._among(found, self._alike()):
                one.meets("name", SIMILAR, "has a name that looks similar")

    def _strengths(self, found: dict[str, Match]) -> None:
        asked = self._criteria.strengths
        for one in found.values() if asked else ():
            held = strengths(one.resource)
            levels = [max((each.alike(other) for other in held), default=0.0) for each in asked]
            if not held:
                one.meets("strength", 0, "states no strength")
            elif min(levels) == 1 and len(held) == len(asked):
                one.meets("strength", 1, "has the strength")
            elif min(levels) > 0:
                one.meets("strength", NEAR, "has the strength among others, or in another amount")
            else:
                one.meets("strength", 0, "has another strength")

    def _forms(self, found: dict[str, Match]) -> None:
        criteria = self._criteria
        if not (criteria.forms or criteria.form_codes):
            return
        for one in found.values():
            stated = one.resource.get("definitional", {}).get("doseForm")
            one.meets("form", 0, "has another form" if stated else "states no form")
            for form in criteria.forms:
                if level := _says(_texts(stated), form, NEAR):
                    one.meets("form", level, "has the form" if level == 1 else "has the words of the form")
        for one in self._among(found, self._coded_form()):
            one.meets("form", 1, "has the form")
        for code in criteria.form_codes:
            if code.system is not None:
                for one in self._among(found, self._asked("doseform", _written(code), modifier="below")):
                    one.meets("form", NEAR, f"has a form below {code}")


def _written(code: Code) -> str:
    """A code as a search writes it."""
    text = escape(code.code)
    return text if code.system is None else f"{escape(code.system)}|{text}"


def _phrase(text: str) -> str:
    """All words of a text, each for itself: none of them is an operator."""
    return " ".join(f'"{word}"' for word in words(text))


def _called(resource: JSON, name: str) -> float:
    """How much of a name a drug has, by the texts that `drug-name` searches."""
    return _says(_names_of(resource), name, WORDS)


def _says(texts: Sequence[str], wanted: str, partly: float) -> float:
    """1 where one of the texts has the words that are wanted and no others, `partly` where all together have them."""
    asked, said = words(wanted), [words(text) for text in texts]
    if asked in said:
        return 1
    return partly if asked and set(asked) <= {word for one in said for word in one} else 0


def _names_of(resource: JSON) -> list[str]:
    return [*(one for one in resource.get("name", ()) if isinstance(one, str)), *_texts(resource.get("code"))]


def _texts(concept: JSON | None) -> list[str]:
    """The words of a CodeableConcept."""
    concept = concept or {}
    return [text for one in (concept, *concept.get("coding", ())) if (text := one.get("text") or one.get("display"))]
