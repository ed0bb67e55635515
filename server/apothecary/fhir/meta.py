"""What a server writes into a resource when it stores it: https://hl7.org/fhir/R5/resource.html#Meta"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.temporal import instant


def stamp(resource: JSON, resource_id: str, version: int, updated: int) -> bytes:
    """The JSON text to store: `resource` with its id, `meta.versionId` and `meta.lastUpdated` set.

    Everything else keeps its place and its literals; the id and the meta come first where the resource had none.
    """
    meta = {"versionId": str(version), "lastUpdated": instant(updated)}
    known = {key: value for key, value in resource.get("meta", {}).items() if key not in meta}
    result: JSON = {"resourceType": resource["resourceType"], "id": resource_id, "meta": meta | known}
    if "meta" in resource:
        # Where the resource has a place for its meta, that place is kept.
        result.pop("meta")
    for key, value in resource.items():
        if key == "meta":
            result["meta"] = meta | known
        elif key not in ("resourceType", "id"):
            result[key] = value
    return dumps(result)


class Unstamped(NamedTuple):
    """The JSON text of a resource, without what `stamp` knows only in the transaction that stores it."""

    before: bytes
    after: bytes

    def stamped(self, version: int, updated: int) -> bytes:
        """What `stamp` gives for a version and a time."""
        return b'%b"versionId":"%d","lastUpdated":"%b"%b' % (
            self.before, version, instant(updated).encode(), self.after
        )  # fmt: skip


_META = b',"meta":{'
_OURS = frozenset({"versionId", "lastUpdated"})

# Nobody can have written it into a resource.
_MARK = secrets.randbits(62)
_STAMPED = b'"versionId":"%d","lastUpdated":"%b"' % (_MARK, instant(0).encode())


def unstamped(resource: JSON, resource_id: str) -> Unstamped:
    """The text that `stamp` gives for `resource`, but for its version and time."""
    text, meta = dumps(resource), resource.get("meta")
    begun = b'{"resourceType":"%b","id":"%b"' % (resource["resourceType"].encode(), resource_id.encode())
    # Most have these first, and then their meta or none: then it need not be put together anew.
    if meta is None and text.startswith((begun + b",", begun + b"}")) and "meta" not in resource:
        return Unstamped(begun + _META, b"}" + text[len(begun) :])
    if meta and text.startswith(begun + _META) and meta.keys().isdisjoint(_OURS):
        return Unstamped(begun + _META, b"," + text[len(begun) + len(_META) :])
    before, _, after = stamp(resource, resource_id, _MARK, 0).partition(_STAMPED)
    return Unstamped(before, after)
