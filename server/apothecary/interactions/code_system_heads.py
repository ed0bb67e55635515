"""What the code systems of a store say of themselves, without their concepts.

https://hl7.org/fhir/R5/codesystem-definitions.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import msgspec

from apothecary.fhir.references import split_canonical
from apothecary.search.query import Query
from apothecary.store.contract import Reader

# Far more code systems than anybody keeps; each of them is read to learn what it says of itself.
MOST_READ = 5000
_PAGE = 20


class Head(msgspec.Struct, rename="camel"):
    """What is told of a code system; its concepts are passed over."""

    url: str = ""
    version: str | None = None
    content: str = "complete"
    value_set: str | None = None


@dataclass(frozen=True)
class Heads:
    """Those that were read, and how many there are in all."""

    read: tuple[Head, ...]
    total: int

    @property
    def left(self) -> int:
        """How many were not read."""
        return self.total - len(self.read)

    def naming(self, value_set: str) -> list[str]:
        """The urls of the code systems that name the url of a value set as that of all their codes."""
        named = (one for one in self.read if one.value_set and split_canonical(one.value_set)[0] == value_set)
        return list(dict.fromkeys(one.url for one in named if one.url))


_HEAD = msgspec.json.Decoder(Head)


def heads(reader: Reader) -> Heads:
    """Those of the first MOST_READ code systems, in the order of their ids."""
    found = [_head(one.body) for one in islice(reader.code_system_heads(_PAGE), MOST_READ)]
    full = len(found) == MOST_READ
    return Heads(tuple(found), reader.count(Query({"CodeSystem": None})) if full else len(found))


def _head(body: bytes | None) -> Head:
    try:
        return _HEAD.decode(body or b"{}")
    except msgspec.ValidationError:  # What is loaded without checks may hold anything.
        return Head()
