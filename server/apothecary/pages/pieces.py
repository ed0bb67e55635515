"""The parts of a monograph page, each made once of the texts that it shows.

https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from markupsafe import Markup

from apothecary.authoring.ledger import claim_order
from apothecary.authoring.pen import STRANGE
from apothecary.authoring.rows import Library, called, described
from apothecary.fhir.json import JSON, parse
from apothecary.pages.fitting import fitting, short, width
from apothecary.pages.kept import digest, part_of
from apothecary.pages.ledgers import claims_of
from apothecary.pages.related import Key, Links, Related, links
from apothecary.pages.render import part
from apothecary.pages.titles import status_of, words
from apothecary.pages.view import View

# The rows of a statement have so many characters, its claims are so many, and so many questions are shown with it; its
# own page has the rest.
ROWS, CLAIMS, QUESTIONS = 12_000, 40, 10

# Rows of a statement that the page says otherwise.
_ELSEWHERE = frozenset({"Subject", "Type", "Status", "Category", "Questioned by the editors"})

T = TypeVar("T")

Row = tuple[str, Markup]
Question = tuple[str, str]


class _Names(Library):
    """Names of resources that were not read for it."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(())
        self._names = names

    def name(self, reference: JSON) -> str:
        found = self._names.get(reference.get("reference", ""))
        return super().name(reference) if found is None else called(found, reference)


class Pieces:
    """The parts of one page."""

    def __init__(self, view: View, held: Related, stamp: int) -> None:
        """`stamp` is the state of the ledger."""
        self.held = held
        self._view = view
        self._stamp = stamp
        self._digests: dict[Key, bytes] = {}
        self._links: dict[Key, Links] = {}
        about = set(held.about)
        self._questions: dict[Key, list[Key]] = {}
        for one in held.assessed:
            for key in self.links(one).references if one in held.texts else ():
                if key in about:
                    self._questions.setdefault(key, []).append(one)

    def links(self, key: Key) -> Links:
        """What is known of a resource before it is shown."""
        found = self._links.get(key)
        if found is None:
            found = self._links[key] = links(self._view, self.held.texts[key], self._digest(key))
        return found

    def statement(self, key: Key) -> Markup:
        """One thing that is said of the drug, with its claims and what the editors questioned about it."""
        beside = *self._names(key).items(), *self.questions(key), self._stamp
        return self._part("statement", key, beside, lambda: self._statement(key), len)

    def product(self, key: Key) -> Markup:
        """A row of the table of products."""
        return self._part("product", key, (), lambda: self._product(key), len)

    def facts(self) -> Sequence[Row]:
        """What the drug's own resource says."""
        key = self.held.drug
        return self._part("facts", key, self._names(key).items(), lambda: self._rows(key), self._sizes)

    def questions(self, key: Key) -> list[Question]:
        """What the editors questioned about a resource: address and title."""
        return [(self._view.to("/".join(one)), self.links(one).title) for one in self._questions.get(key, ())]

    def _sizes(self, rows: Sequence[Row]) -> int:
        return sum(map(self.size, rows))

    def _rows(self, key: Key) -> list[Row]:
        """What a resource says, label by label; what has another form than the specification's is left to its page."""
        try:
            # The words of `describe` are escaped, and its lists are HTML.
            rows = described(parse(self.held.texts[key]), _Names(self._names(key)))[2]
        except STRANGE:
            return []
        return [(label, short(Markup(value))) for label, value in rows]  # noqa: S704

    @staticmethod
    def size(row: Iterable[str]) -> int:
        """About how many bytes a row takes."""
        return width(*row) + 60

    def _names(self, key: Key) -> Mapping[str, str]:
        """What is there of what a resource refers to, by reference, with its name."""
        there = [one for one in self.links(key).references if one in self.held.texts and one != key]
        return {"/".join(one): self.links(one).name for one in there}

    def _part(
        self, name: str, key: Key, beside: Iterable[Hashable], make: Callable[[], T], size: Callable[[T], int]
    ) -> T:
        view = self._view
        named = name, view.static, view.root, view.base, self._digest(key), *beside
        return part_of(view, named, make, size)

    def _digest(self, key: Key) -> bytes:
        found = self._digests.get(key)
        if found is None:
            found = self._digests[key] = digest(self.held.texts[key])
        return found

    def _statement(self, key: Key) -> Markup:
        known = self.links(key)
        rows, left = fitting([one for one in self._rows(key) if one[0] not in _ELSEWHERE], tuple, ROWS, self.size)
        claims, questions = sorted(known.claims, key=claim_order), self.questions(key)
        return part(
            "statement_part.html",
            address=self._view.to("/".join(key)),
            title=known.title,
            heading="h4" if known.place == "use" else "h3",
            rows=rows,
            claims=claims_of(self._view.service, claims[:CLAIMS]),
            questions=questions[:QUESTIONS],
            more=left or len(claims) > CLAIMS or len(questions) > QUESTIONS,
        )

    def _product(self, key: Key) -> Markup:
        one = parse(self.held.texts[key])
        definitional = one.get("definitional") or {}
        speaker = Library(()).speaker
        strengths = [
            speaker.say(part[name], kind, "")
            for part in definitional.get("ingredient", [])
            for name, kind in (("strengthRatio", "Ratio"), ("strengthQuantity", "Quantity"))
            if name in part
        ]
        looks = [
            words(value)
            for part in definitional.get("drugCharacteristic", [])
            for name, value in part.items()
            if name.startswith("value")
        ]
        form, route = [words(definitional.get("doseForm"))], map(words, definitional.get("intendedRoute", []))
        told = ["; ".join(filter(None, one))[:500] for one in (strengths, form, route, looks, [status_of(one)])]
        return part("product_part.html", address=self._view.to("/".join(key)), title=self.links(key).title, told=told)
