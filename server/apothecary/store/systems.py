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

# Among 10,000 systems two have the same hash once in 5 million databases. To make a system for one takes 2**48 tries;
# whoever may write it may write the system itself.
BYTES = 6


@short_cache(4096)
def short(system: str) -> str:
    """What stands for a system: 8 characters; nothing for none."""
    if not system:
        return ""
    return b64encode(blake2b(system.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()).decode()


def kept(row: IndexRow) -> tuple[Any, ...]:
    """A row as it stands in its table, behind the key of its resource."""
    return row._replace(system=short(row.system)) if isinstance(row, TokenRow | QuantityRow) else row
