"""The lines of an export, some at a time: resources as they were at its moment, in the release of its base.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import msgspec

from apothecary.bulk.job import Job, Note
from apothecary.bulk.packing import unpack
from apothecary.errors import FhirError
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.basics import shown_as
from apothecary.interactions.forms import in_version
from apothecary.interactions.service import Service
from apothecary.interactions.subset import subset
from apothecary.store.bulk import Bulk
from apothecary.store.contract import Stored

# So many resources, or bytes of them, are read at once.
PAGE, PAGE_BYTES = 200, 4 * 1024 * 1024
# A bundle of deletions has so many entries.
DELETIONS = 100
# A portion that does not get full ends after so many pages.
MOST_PAGES = 50

# A published file ends with an id of which this many do, and before it has more bytes: a resource that is added or
# changed changes one file, and leaves all others what they are.
EDGE, PUBLISHED = 1024, 4 * 1024 * 1024

_IDS = msgspec.json.Decoder(list[str])

Cut = Callable[[str, int], bool]
"""Whether a portion ends with the resource of that id, when it has so many bytes."""


@dataclass
class Portion:
    """What comes next of a job: lines, each without its end, and where they end."""

    type: str
    after: str
    piece: int
    ended: bool = False
    output: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Those of the lines of `output`."""
    deleted: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    size: int = 0
    newest: int = 0

    def bundles(self) -> list[bytes]:
        """The deletions as transactions: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status"""
        parts = [self.deleted[begin : begin + DELETIONS] for begin in range(0, len(self.deleted), DELETIONS)]
        return [
            dumps({"resourceType": "Bundle", "type": "transaction", "entry": [_deletion(one) for one in part]})
            for part in parts
        ]


def _deletion(url: str) -> dict[str, object]:
    return {"request": {"method": "DELETE", "url": url}}


def edge(identity: str, size: int) -> bool:
    """Whether a published file ends here."""
    return size >= PUBLISHED or zlib.crc32(identity.encode()) % EDGE == 0


def identifiers(job: str, kind: str) -> str:
    """What the pieces are called that hold the ids which the filters of a type found."""
    return f"{job}/{kind}"


class Portions:
    """Makes portions of one job. `pause` is called between two pages with the seconds that the first took."""

    def __init__(self, service: Service, bulk: Bulk, name: str, pause: Callable[[float], object]) -> None:
        self._service = service
        self._bulk = bulk
        self._name = name
        self._pause = pause

    def next(self, job: Job, cut: Cut, end: float = math.inf) -> Portion:
        """What comes next, up to where `cut` says, or the type ends, or with the page after which it is `end` of the
        monotonic clock. The type to come must be there.
        """
        kind, wanted = job.wanted.types[job.at], job.wanted
        version = FhirVersion(wanted.version)
        shown = shown_as(self._service, version, kind)
        elements = [one.rpartition(".")[2] for one in wanted.elements if one.rpartition(".")[0] in ("", shown)]
        found = Portion(shown, job.after, job.piece)
        write = partial(self._write, found, job, version, elements)
        for _ in range(MOST_PAGES):
            begun = time.monotonic()
            rows = self._rows(job, kind, found)
            if found.ended:
                return found
            for one in self._at(kind, rows, job.moment):
                found.after = one.id
                write(one)
                if cut(one.id, found.size):
                    return found
            if rows:
                found.after = rows[-1].id
            if time.monotonic() >= end:
                return found
            self._pause(time.monotonic() - begun)
        return found

    def _rows(self, job: Job, kind: str, found: Portion) -> list[Stored]:
        """The rows of the next page; where there are no more, `found` is ended."""
        since = job.wanted.since if job.wanted.deletions else None
        while kind in job.selected and found.piece >= 0:
            if found.piece == job.selected[kind]:
                found.piece, found.after = -1, ""
                break
            piece = self._bulk.piece(identifiers(self._name, kind), found.piece)
            # A piece that is missing went with its job, which the next step notices.
            ids = [one for one in _IDS.decode(unpack(piece)) if one > found.after] if piece else []
            if ids:
                return self._bulk.those(kind, ids, PAGE_BYTES)
            found.piece += 1
        if kind in job.selected and (not job.wanted.deletions or kind in job.wanted.narrowed):
            found.ended = True
            return []
        rows = self._bulk.walk(kind, found.after, PAGE, PAGE_BYTES, since)
        found.ended = not rows
        return rows

    def _at(self, kind: str, rows: list[Stored], moment: int) -> Iterator[Stored]:
        """What those rows were at the moment."""
        later = [one.id for one in rows if one.updated > moment]
        before = {one.id: one for one in self._bulk.as_of(kind, later, moment)}
        for one in rows:
            at = one if one.updated <= moment else before.get(one.id)
            if at is not None:
                yield at

    def _write(self, found: Portion, job: Job, version: FhirVersion, elements: list[str], one: Stored) -> None:
        wanted = job.wanted
        if wanted.since is not None and one.updated <= wanted.since:
            return
        if wanted.until is not None and one.updated >= wanted.until:
            return
        if one.body is None:
            if wanted.deletions:
                found.deleted.append(f"{found.type}/{one.id}")
                found.size += len(found.deleted[-1])
                found.newest = max(found.newest, one.updated)
            return
        if found.piece < 0:
            return
        try:
            line = text(one, version, elements)
        except FhirError as error:
            name = f"{one.type}/{one.id}"
            found.notes += [
                Note("error", issue.code, f"{name}: {issue.diagnostics}", (name,)) for issue in error.issues
            ]
            return
        found.output.append(line)
        found.ids.append(one.id)
        found.size += len(line) + 1
        found.newest = max(found.newest, one.updated)


def text(one: Stored, version: FhirVersion, elements: list[str]) -> bytes:
    """A resource in a release, on one line. Raises FhirError where it cannot be said there.

    Not by `body_in`, which remembers conversions: those of an export would drive out all that readers ask for.
    """
    body = one.body or b""
    if one.fhir_version != version:
        body = dumps(in_version(parse(body), FhirVersion(one.fhir_version), version))
    return subset(body, version, "false", elements) if elements else body
