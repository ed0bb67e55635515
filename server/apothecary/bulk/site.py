"""A catalogue as static files, for any web host or object store: what $bulk-publish gives, and a FHIR API to read from.

https://hl7.org/fhir/uv/bulkdata/4.0.0-202609-ballot/en/publish.html: no FHIR server is needed for it. Beside it stand
each resource at `[type]/[id]`, a searchset of each type, and a CapabilityStatement that says what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from apothecary import __version__
from apothecary.bulk import manifest, request
from apothecary.bulk.files import Tree
from apothecary.bulk.job import File, Job, Kind, Note, Wanted
from apothecary.bulk.portions import Portion, Portions, edge
from apothecary.errors import StartError
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant
from apothecary.interactions.basics import shown_as
from apothecary.interactions.capabilities import DESCRIPTION
from apothecary.interactions.service import Service
from apothecary.operations.bulk import OPERATIONS
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.store.bulk import Bulk

MANIFEST, STATEMENT, FILES = "$bulk-publish", "metadata", "bulk"
# Says that a folder is one of ours, from before there is a manifest.
MARK = ".published"
# The first page of a type, which a web host gives for its folder. No id begins with an underscore.
FIRST, PAGES = "index.json", "_page"


class Site:
    """The files of one release below a folder; `base` is the address that they will have."""

    def __init__(self, service: Service, bulk: Bulk, version: FhirVersion, folder: Path, base: str) -> None:
        self._service = service
        self._bulk = bulk
        self._version = version
        self._base = base.rstrip("/")
        self.tree = Tree(folder)
        every = request.every_type(service, version)
        # What stands under one name stands together.
        wanted = Wanted(version.value, sorted(every, key=lambda one: (self._shown(one), one)), deletions=True)
        moment = bulk.change(lambda change: change.moment())
        self._job = Job("", "", wanted, moment, moment)

    def _shown(self, kind: str) -> str:
        return shown_as(self._service, self._version, kind)

    def write(self) -> Job:
        """Write what is new or changed, the manifest behind all that it names; then remove what is not needed any more.
        What was written. Raises StartError for a folder that is something else.
        """
        before = self._before()
        shown = sorted({self._shown(kind) for kind in self._job.wanted.types})
        kept = {kind: self._type(kind) for kind in shown}
        lines = [dumps(operation_outcome([note.issue])) for note in self._job.notes]
        if lines:
            self._file("error", "OperationOutcome", lines)
        self.tree.write(STATEMENT, dumps(self._statement(sorted(kind for kind in shown if kept[kind]))))
        told = manifest.published(self._job, f"{self._base}/{FILES}")
        self.tree.write(MANIFEST, dumps(told))
        self._remove(kept, before)
        return self._job

    def _before(self) -> set[str]:
        """The files that the manifest names which stands there: who read it has until the next one to get them."""
        found = self.tree.read(MANIFEST)
        if self.tree.read(MARK) is None:
            if self.tree.others():
                raise StartError(f"{self.tree.folder} holds other files: name an empty folder, or one published before")
            self.tree.write(MARK, b"")
        if found is None:
            return set()
        try:
            told = json.loads(found)
            return {one["url"].rpartition("/")[2] for kind in ("output", "deleted", "outcome") for one in told[kind]}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StartError(f"{self.tree.folder / MANIFEST} is no manifest of Apothecary's") from None

    def _type(self, shown: str) -> set[str]:
        """Write all that is of one type; the names of its files."""
        names: set[str] = set()
        pages: list[str] = []
        follows: Portion | None = None
        start = ""
        for portion in self._portions(shown):
            if follows is not None:
                last = follows.ids[-1]
                pages.append(self._page(shown, start, follows, last))
                start = last
            follows = portion
            for identity, line in zip(portion.ids, portion.output, strict=True):
                if identity in names or identity == FIRST:
                    said = f"{shown}/{identity} is left out of the pages: its name is taken"
                    self._job.note(Note("error", "duplicate", said, (f"{shown}/{identity}",)))
                    continue
                names.add(identity)
                self.tree.write(f"{shown}/{identity}", line)
        if follows is not None:
            pages.append(self._page(shown, start, follows, None))
        # The last one first: no page leads to one that is not there.
        for page in reversed(pages):
            self.tree.settle(page)
        return names | {page.removeprefix(f"{shown}/") for page in pages}

    def _portions(self, shown: str) -> Iterator[Portion]:
        """The portions of a type that hold anything, each as one file. What is deleted goes to files of its own."""
        job, made = self._job, Portions(self._service, self._bulk, "", lambda _: None)
        while job.at < len(job.wanted.types) and self._shown(job.wanted.types[job.at]) == shown:
            found = made.next(job, edge)
            job.after, job.newest = found.after, max(job.newest, found.newest)
            job.note(*found.notes)
            if found.ended:
                job.at, job.after = job.at + 1, ""
            if found.deleted:
                self._file("deleted", "Bundle", found.bundles())
            if found.output:
                job.resources += len(found.output)
                self._file("output", shown, found.output)
                yield found

    def _file(self, kind: Kind, shown: str, lines: list[bytes]) -> None:
        raw = b"".join(line + b"\n" for line in lines)
        file = File(kind, shown, hashlib.sha256(raw).hexdigest(), len(lines), len(raw))
        self.tree.write(f"{FILES}/{file.key}.ndjson", raw)
        self._job.files.append(file)

    def _page(self, shown: str, start: str, portion: Portion, last: str | None) -> str:
        """Write a page beside its place; its place. It is called by where it begins, so that a resource which is added
        changes one page: https://hl7.org/fhir/R5/http.html#paging
        """
        path = f"{shown}/{PAGES}/{start}" if start else f"{shown}/{FIRST}"
        links = [{"relation": "self", "url": f"{self._base}/{path.removesuffix('/' + FIRST)}"}]
        if last is not None:
            links.append({"relation": "next", "url": f"{self._base}/{shown}/{PAGES}/{last}"})
        entries = (
            b'{"fullUrl":%b,"resource":%b,"search":{"mode":"match"}}'
            % (dumps(f"{self._base}/{shown}/{identity}"), line)
            for identity, line in zip(portion.ids, portion.output, strict=True)
        )
        head = dumps({"resourceType": "Bundle", "type": "searchset", "link": links})
        self.tree.prepare(path, head[:-1] + b',"entry":[' + b",".join(entries) + b"]}")
        return path

    def _statement(self, types: list[str]) -> JSON:
        """https://hl7.org/fhir/R5/capabilitystatement.html"""
        (publish,) = (one for one in OPERATIONS if one.code == "bulk-publish")
        said = "Static files: each resource, all of a type page by page, and $bulk-publish. No parameter is looked at."
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": instant(self._job.newest),
            "publisher": "Apothecary",
            "kind": "instance",
            "software": {"name": "Apothecary", "version": __version__},
            "implementation": {"description": DESCRIPTION, "url": self._base},
            "fhirVersion": self._version.number,
            "format": ["application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "documentation": said,
                    "resource": [
                        {"type": one, "interaction": [{"code": "read"}, {"code": "search-type"}]} for one in types
                    ],
                    "operation": [{"name": publish.code, "definition": publish.definition}],
                }
            ],
        }

    def _remove(self, kept: dict[str, set[str]], before: set[str]) -> None:
        for kind, names in kept.items():
            self.tree.keep(kind, names)
        self.tree.keep(FILES, before | {f"{one.key}.ndjson" for one in self._job.files})
        with suppress(OSError):
            os.rmdir(self.tree.folder / FILES)  # empty
