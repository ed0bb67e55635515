"""If-Match and If-None-Match on writes: https://hl7.org/fhir/R5/http.html#concurrency"""

from __future__ import annotations

import re

from apothecary.errors import BadRequest, PreconditionFailed
from apothecary.store.contract import Stored

_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')


def check_match(if_match: str | None, current: Stored | None, name: str) -> None:
    """Raises PreconditionFailed where the current version is none of those in `if_match`, BadRequest where they are no
    versions.
    """
    if if_match is None:
        return
    exists = current is not None and not current.deleted
    if if_match.strip() == "*":
        if not exists:
            raise PreconditionFailed(f"If-Match: * and there is no {name}", expression="If-Match")
        return
    wanted = []
    for tag in if_match.split(","):
        match = _TAG.fullmatch(tag.strip())
        if match is None:
            raise BadRequest(
                f"If-Match: {tag.strip()} is not a version of a resource",
                expression="If-Match",
                remedy='Send the ETag of the version that was read, such as W/"3".',
            )
        wanted.append(int(match[1]))
    if current is None or not exists:
        raise PreconditionFailed(f"If-Match: {if_match} and there is no {name}", expression="If-Match")
    if current.version not in wanted:
        raise PreconditionFailed(
            f"If-Match: {if_match}, but {name} is at version {current.version}",
            expression="If-Match",
            remedy="Read it again, apply the change to what is there now, and send its new ETag.",
            headers={"ETag": f'W/"{current.version}"'},
        )


def check_none_match(if_none_match: str | None, current: Stored | None, name: str) -> None:
    """`If-None-Match: *` lets a write only create. Raises PreconditionFailed where the resource is there."""
    if if_none_match is None or current is None or current.deleted:
        return
    tags = [tag.strip() for tag in if_none_match.split(",")]
    if "*" in tags or f'W/"{current.version}"' in tags or f'"{current.version}"' in tags:
        raise PreconditionFailed(
            f"If-None-Match: {if_none_match}, but {name} is there", expression="If-None-Match", code="conflict"
        )
