"""By which rules the search index in the database was made, and what of it is due to be made anew.

Two versions may serve one database while the newer one is brought in. The newer one has the say over the index: it
makes it anew by its rules, in small steps, while both answer (https://hl7.org/fhir/R5/search.html says what an answer
must hold, not how it is found). The older one leaves the index alone. What it still writes gets rows by its own rules
and is noted, so that the newer one makes those anew as well.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Set
from importlib import import_module
from itertools import islice

from apothecary.content import case
from apothecary.search.normalisation import Systems
from apothecary.search.parameters import EXTRACTION
from apothecary.store.contract import Reader, Transaction
from apothecary.store.reads import DEFINITIONS

# Not imported by a statement: to a type checker the package's public names lead to every room, this one too.
VERSION: str = import_module("apothecary").__version__

# Under these names the store remembers: what its definitions are, by another value after each change; by which rules
# its index is made; which version said so; and what is due, which is everything, or the resources that stand beside it
# under their own names.
GENERATION, INDEX, MAKER, DUE = DEFINITIONS, "index", "index maker", "index due"
ALL, SOME = "all", "some"

# So many resources are indexed anew before a server answers; with more it answers meanwhile.
AT_ONCE = 5000


def remember_generation(transaction: Transaction) -> None:
    """Let every process that serves this database look at the definitions anew."""
    transaction.set_state(GENERATION, secrets.token_hex(8))


def rules(types: Iterable[str], address: str, systems: Systems) -> str:
    """Changes when the index rows of some resource would: the first part with what extraction makes of the definitions,
    with the served types and the public address, the second with what the content's code systems say of case. A version
    that extracts as the one before it goes on with its index.
    """
    first = hashlib.sha256(f"{EXTRACTION} {' '.join(types)} {address}".encode())
    return f"{first.hexdigest()} {systems.digest}"


def are_others(reader: Reader, wanted: str, systems: Systems) -> bool:
    """Whether the index holds rows that the rules `wanted`, with what `systems` say, would make otherwise. What code
    systems say of case matters where there are codes of theirs.
    """
    made = reader.state(INDEX)
    if made == wanted:
        return False
    if made is None or made.partition(" ")[0] != wanted.partition(" ")[0]:
        return True
    return reader.has_codes(case.differing(case.remembered(reader), systems))


def this_version() -> str:
    """What says which of two versions is the newer one, as far as the index is concerned."""
    return f"{EXTRACTION.partition(' ')[0]} {VERSION}"


def behind(reader: Reader) -> bool:
    """Whether a newer version than this one makes the index."""
    return _order(reader.state(MAKER) or "") > _order(this_version())


def _order(maker: str) -> tuple[int, ...]:
    """The number of the extraction, then those of the version up to what is no number."""
    extraction, _, version = maker.partition(" ")
    numbers = re.match(r"\d+(\.\d+)*", version)
    return int(extraction or 0), *(int(one) for one in (numbers[0] if numbers else "0").split("."))


def begin(transaction: Transaction, wanted: str, *, all_due: bool) -> None:
    """From now on the index is made by the rules `wanted`; `all_due` says that it holds what others made."""
    transaction.set_state(INDEX, wanted)
    transaction.set_state(MAKER, this_version())
    if all_due:
        transaction.set_state(DUE, ALL)
    remember_generation(transaction)


def begin_empty(transaction: Transaction, wanted: str) -> bool:
    """Note the rules by which the index of a database is made that holds nothing yet; whether it is one, and nobody has
    done so before.
    """
    if transaction.state(INDEX) is not None or transaction.types():
        return False
    begin(transaction, wanted, all_due=False)
    return True


def forget(transaction: Transaction) -> None:
    """Let the next start make the index anew, by whatever version."""
    for name in (INDEX, MAKER):
        transaction.forget_state(name)
    remember_generation(transaction)


def note(transaction: Transaction, touched: Iterable[tuple[str, str]]) -> None:
    """What a version that is behind has written is due. Every process hears of it the first time."""
    for key in sorted(touched):
        name = f"{DUE} {'/'.join(key)}"
        if transaction.state(name) is None:
            transaction.set_state(name, "")
    if transaction.state(DUE) is None:
        transaction.set_state(DUE, SOME)
        remember_generation(transaction)


def noted(transaction: Transaction, count: int) -> list[tuple[str, str, str]]:
    """At most `count` resources that are due: the name under which each is noted, its type and its id."""
    names = transaction.states(f"{DUE} ", count)
    return [(name, *_key(name)) for name in names]


def _key(name: str) -> tuple[str, str]:
    resource_type, _, resource_id = name.removeprefix(f"{DUE} ").partition("/")
    return resource_type, resource_id


def done(transaction: Transaction) -> None:
    """The whole index has been made anew; what was written meanwhile by a version that is behind is still due."""
    if transaction.state(DUE) == ALL:
        transaction.set_state(DUE, SOME)


def few_others(reader: Reader, known: Set[str]) -> int | None:
    """How many resources there are besides those of the keys `known`; None where they are so many that a start cannot
    wait until they are indexed.
    """
    held = (f"{kind}/{one.id}" for kind in reader.types() for one in reader.all_of_type(kind) if one.body is not None)
    count = sum(1 for _ in islice((key for key in held if key not in known), AT_ONCE + 1))
    return count if count <= AT_ONCE else None
