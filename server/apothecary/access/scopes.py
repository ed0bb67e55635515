"""What a client may do, as it stands in scopes: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html

    system/Medication.rs                       read and search
    system/*.cruds                             everything
    system/MedicationKnowledge.rs?status=active   of these resources only
    system/Medication.read                     the first version's way to say `rs`; `write` is `cud`, `*` is `cruds`

`c` is create; `r` read, vread and the history of one resource; `u` update and patch; `d` delete; `s` search, and the
history of a type or of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, unquote_plus

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.suggestions import or_rather

Permission = Literal["c", "r", "u", "d", "s"]
Pairs = tuple[tuple[str, str], ...]

PERMISSIONS = "cruds"
ANY = "*"

# What the first version wrote behind the dot.
_FIRST = {"read": "rs", "write": "cud", ANY: PERMISSIONS}

_CONTEXTS = ("patient", "system", "user")
# `patient/` means the one patient whose record was opened. This server knows of no such patient, so what is granted for
# him is granted for nothing here. What a person may by `user/` was decided by whoever gave the token.
COUNTED = frozenset({"system", "user"})

_SHAPE = re.compile(r"(?P<context>[^/]*)/(?P<type>[^.?]*)\.(?P<letters>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
# What scopes may be made of: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
_TEXT = re.compile(r"[!#-\[\]-~]+")
_LONGEST, _MOST, MOST_CRITERIA = 1000, 500, 10
# So many criteria all scopes of a client have together.
MOST_CLAUSES = 500


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One scope: whose resources, of which type (`*`: of any), what may be done (letters of `cruds` in this order), and
    what the resources must meet: pairs of a search parameter and its value, all of which hold.
    """

    context: str
    type: str
    permissions: str
    criteria: Pairs = ()

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Raises ValueError with the reason where `text` is no scope for resources."""
        if len(text) > _LONGEST or not _TEXT.fullmatch(text):
            raise ValueError(
                f"{text[:100]!r} is no scope: at most {_LONGEST} characters of ASCII, no spaces and quotes"
            )
        found = _SHAPE.fullmatch(text)
        if found is None or found["context"] not in _CONTEXTS:
            raise ValueError(
                f"{text!r} is no scope for resources: write system/Medication.rs, with user/ for system/ where a person"
                " stands behind the client"
            )
        if found["type"] != ANY and found["type"] not in _types():
            raise ValueError(f"{text}: {found['type']!r} is no resource type{or_rather(found['type'], _types())}")
        return cls(
            found["context"], found["type"], _permissions(text, found["letters"]), _criteria(text, found["query"])
        )

    def __str__(self) -> str:
        query = "&".join(f"{quote(name, safe=_KEPT)}={quote(value, safe=_KEPT)}" for name, value in self.criteria)
        return f"{self.context}/{self.type}.{self.permissions}{f'?{query}' if query else ''}"

    def within(self, other: Scope) -> Scope | None:
        """What both grant; None where that is nothing. Where both have criteria, all of them hold."""
        if self.context != other.context or (ANY not in (self.type, other.type) and self.type != other.type):
            return None
        both = "".join(one for one in PERMISSIONS if one in self.permissions and one in other.permissions)
        kind = other.type if self.type == ANY else self.type
        criteria = tuple(sorted({*self.criteria, *other.criteria}))
        return Scope(self.context, kind, both, criteria) if both else None

    def covers(self, other: Scope) -> bool:
        """Whether whoever has this scope gains nothing by the other."""
        return (
            self.context == other.context
            and self.type in (ANY, other.type)
            and set(self.permissions) >= set(other.permissions)
            and set(self.criteria) <= set(other.criteria)
        )

    def gains(self, others: Iterable[Scope]) -> Scope | None:
        """What whoever has the others gains by this scope; None where that is nothing."""
        own = [one for one in others if one is not self]
        kept = [p for p in self.permissions if not any(one.covers(replace(self, permissions=p)) for one in own)]
        return replace(self, permissions="".join(kept)) if kept else None


# As they stand in a scope without percent-encoding, of what a search takes.
_KEPT = ":/|,.-_~@!$'()*;[]"


@dataclass(frozen=True, slots=True)
class Scopes:
    """Several scopes: who has them may do whatever one of them allows. In one order, without what others cover."""

    of: tuple[Scope, ...]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Scopes:
        """Raises ValueError with the reason where one of `texts` is no scope for resources."""
        return cls.made(Scope.parse(one) for one in _few(texts))

    @classmethod
    def known(cls, texts: Iterable[str]) -> Scopes:
        """Those of `texts` that are scopes for resources: what other issuers grant has also `openid` and its like, and
        what cannot be understood grants nothing.
        """
        return cls.made(_understood(_few(texts)))

    @classmethod
    def made(cls, scopes: Iterable[Scope]) -> Scopes:
        """The same in one order: alike ones are put together, and what others cover is left out. Raises ValueError for
        too many of them, or too many criteria in all: each is a clause of every search.
        """
        alike: dict[tuple[str, str, Pairs], set[str]] = {}
        for one in scopes:
            alike.setdefault((one.context, one.type, one.criteria), set()).update(one.permissions)
            if len(alike) > _MOST:
                raise ValueError(f"more than {_MOST} scopes")
        if sum(len(criteria) for _, _, criteria in alike) > MOST_CLAUSES:
            raise ValueError(f"more than {MOST_CLAUSES} criteria in all")
        every = [
            Scope(context, kind, "".join(p for p in PERMISSIONS if p in letters), criteria)
            for (context, kind, criteria), letters in alike.items()
        ]
        return cls(tuple(sorted(gained for one in every if (gained := one.gains(every)) is not None)))

    def __str__(self) -> str:
        """As `scope` has them in requests and answers: https://www.rfc-editor.org/rfc/rfc6749#section-3.3"""
        return " ".join(map(str, self.of))

    def __bool__(self) -> bool:
        return bool(self.of)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each as text, in the order that a `Grant` has."""
        return tuple(sorted(map(str, self.of)))

    def within(self, registered: Scopes) -> Scopes:
        """What is asked for here and registered there: no more than either says, criteria included. Raises ValueError
        where that is too much to say.
        """
        return Scopes.made(both for one in self.of for both in registered.parts_of(one))

    def parts_of(self, wanted: Scope) -> Iterator[Scope]:
        """What of a scope these grant, each its part."""
        if any(one.covers(wanted) for one in self.of):
            # All of it: what several grant of it besides, would be as many scopes as both have, multiplied.
            yield wanted
            return
        yield from (both for one in self.of if (both := wanted.within(one)) is not None)

    def criteria(self, resource_type: str, permission: Permission) -> tuple[Pairs, ...] | None:
        """What resources of a type must meet for this to be done with them: one of several sets of criteria; nothing
        (an empty tuple) where it may be done with all of them, None where it may be done with none.
        """
        found = [
            one.criteria
            for one in self.of
            if one.context in COUNTED and one.type in (ANY, resource_type) and permission in one.permissions
        ]
        if not found:
            return None
        return () if () in found else tuple(sorted(set(found)))

    def find_all_of(self, others: Scopes) -> bool:
        """Whether a search by these finds whatever one by the others does."""
        counted = (one for one in others.of if one.context in COUNTED and "s" in one.permissions)
        wanted = [replace(one, permissions="s") for one in counted]
        return all(any(own.covers(one) for own in self.of) for one in wanted)

    def may(self, resource_type: str, *permissions: Permission) -> bool:
        """Whether any of these may be done with some resources of a type."""
        return any(self.criteria(resource_type, one) is not None for one in permissions)


def _understood(texts: Iterable[str]) -> Iterator[Scope]:
    for one in texts:
        try:
            yield Scope.parse(one)
        except ValueError:
            continue


def _few(texts: Iterable[str]) -> tuple[str, ...]:
    """Raises ValueError where there are too many."""
    found = tuple(dict.fromkeys(texts))
    if len(found) > _MOST:
        raise ValueError(f"more than {_MOST} scopes")
    return found


@lru_cache(maxsize=1)
def _types() -> frozenset[str]:
    """The resource types of all releases."""
    return frozenset(name for version in FhirVersion for name in definitions(version).resource_types())


def _permissions(text: str, letters: str) -> str:
    found = _FIRST.get(letters, letters)
    if not found or found != "".join(one for one in PERMISSIONS if one in found):
        raise ValueError(f"{text}: behind the dot stand letters of cruds in this order, or read, write or *")
    return found


def _criteria(text: str, query: str | None) -> Pairs:
    if query is None:
        return ()
    pairs = [tuple(map(unquote_plus, one.partition("=")[::2])) for one in query.split("&")]
    if len(pairs) > MOST_CRITERIA or not all(name and value for name, value in pairs):
        raise ValueError(f"{text}: write at most {MOST_CRITERIA} criteria behind the question mark, each name=value")
    return tuple(sorted({(name, value) for name, value in pairs}))
