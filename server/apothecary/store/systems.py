"""Rows as the index has them: shorter than extraction makes them.

Systems are the longest texts there of most resources, and each code repeats its own. So a hash stands for a system
(https://hl7.org/fhir/R5/datatypes.html#Coding). It is compared for equality and nothing else, and what the index is
asked comes the same way.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b
from typing import Any

from apothecary.fhir.caches import short_cache
from apothecary.search.rows import IndexRow, QuantityRow, StringRow, TokenRow, UriRow

# Among 10,000 systems two have the same hash once in 5 million databases. To make a system for one takes 2**48 tries;
# whoever may write it may write the system itself.
BYTES = 6


@short_cache(4096)
def short(system: str) -> str:
    """What stands for a system: 8 characters; nothing for none."""
    if not system:
        return ""
    return b64encode(blake2b(system.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()).decode()


def longer(whole: str, beginning: str) -> str:
    """A text as it stands beside its beginning, by which it is looked up: nothing, where that is all of it, as it is of
    nearly every text (`TextCompiler.whole`).
    """
    return "" if whole == beginning else whole


def kept(row: IndexRow) -> tuple[Any, ...]:
    """A row as it stands in its table, behind the key of its resource."""
    match row:
        case TokenRow() | QuantityRow():
            return row._replace(system=short(row.system))
        case StringRow():
            return row._replace(folded=longer(row.folded, row.prefix))
        case UriRow():
            return row._replace(value=longer(row.value, row.prefix))
    return row
