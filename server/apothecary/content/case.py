"""Whether case counts in the code systems of the content: the index is made with what they say.

https://hl7.org/fhir/R5/codesystem-definitions.html#CodeSystem.caseSensitive
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from apothecary.content.files import ContentFile
from apothecary.search.normalisation import Systems, stated
from apothecary.store.contract import Reader, Transaction

# Under this name the store remembers what its index was made with.
CASE = "case of code systems"


class _CodeSystem(msgspec.Struct, rename="camel"):
    """What matters here of one."""

    url: str | None = None
    case_sensitive: bool | None = None


_CODE_SYSTEM = msgspec.json.Decoder(_CodeSystem)
_CASE = msgspec.json.Decoder(dict[str, bool])


def after(reader: Reader, fresh: Mapping[str, ContentFile], gone: Collection[str]) -> Systems:
    """What holds after a sync: what the folder's new and changed CodeSystems say, `fresh`, and those in the store that
    are neither replaced by them nor `gone`.
    """
    kept = (
        _CODE_SYSTEM.decode(one.body)
        for one in reader.code_system_heads()
        if one.body is not None and (key := f"CodeSystem/{one.id}") not in fresh and key not in gone
    )
    from_files = (one.value for one in fresh.values() if one.resource_type == "CodeSystem")
    return Systems(stated([*({"url": one.url, "caseSensitive": one.case_sensitive} for one in kept), *from_files]))


def stored(reader: Reader) -> Systems:
    """What the CodeSystems in the store say."""
    return after(reader, {}, ())


def remembered(reader: Reader) -> Systems:
    """What the index was made with: searches must look for codes as they stand there."""
    return Systems(_CASE.decode(reader.state(CASE) or "{}"))


def remember(transaction: Transaction, systems: Systems) -> None:
    transaction.set_state(CASE, msgspec.json.encode(systems.case_sensitive).decode())


def differing(one: Systems, other: Systems) -> frozenset[str]:
    """The systems whose codes stand otherwise in an index made with `one` than in one made with `other`."""
    named = one.case_sensitive.keys() | other.case_sensitive.keys()
    return frozenset(system for system in named if one.sensitive(system) != other.sensitive(system))
