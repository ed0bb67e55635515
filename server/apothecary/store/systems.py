"""Systems as the index has them: of most resources they are the longest text there, and each code repeats its own.

So a hash stands for a system (https://hl7.org/fhir/R5/datatypes.html#Coding). It is compared for equality and nothing
else, and what the index is asked comes the same way.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b
from typing import Any

from apothecary.fhir.caches import short_cache
from apothecary.search.rows import IndexRow, QuantityRow, TokenRow

# To find another text with the hash of a given one takes 2**72 tries.
BYTES = 9


@short_cache(4096)
def short(system: str) -> str:
    """What stands for a system: 12 characters; nothing for none."""
    if not system:
        return ""
    return b64encode(blake2b(system.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()).decode()


def kept(row: IndexRow) -> tuple[Any, ...]:
    """A row as it stands in its table, behind the key of its resource."""
    return row._replace(system=short(row.system)) if isinstance(row, TokenRow | QuantityRow) else row
