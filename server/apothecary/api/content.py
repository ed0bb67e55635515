"""Reads and searches of a content folder without a server: https://hl7.org/fhir/R5/http.html#read and #search

Behind them stands what a server has: the folder is brought into a temporary SQLite database, once as long as no byte in
it changes, and the same interactions answer. One call at a time uses it, from whatever thread.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from apothecary.api.given import release as _release
from apothecary.app import make_service
from apothecary.content.sync import Report, sync
from apothecary.errors import BadRequest, ContentError
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import read as _read
from apothecary.interactions import search as _search
from apothecary.interactions.service import Service
from apothecary.rest.exchange import GENERAL
from apothecary.rest.negotiation import negotiate
from apothecary.search.text import decode
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

# What links begin with. An address that begins so can be asked for again: the next page of a search, a fullUrl.
BASE = "http://localhost/fhir"
_ADDRESS = re.compile(rf"{re.escape(BASE)}/(r4|r4b|r5)(?:/|(?=\?)|$)")
# Most folders whose databases are kept at a time; the one used longest ago is forgotten first.
KEPT = 8


def search(
    query: str,
    content: str | os.PathLike[str],
    release: FhirVersion | str | None = None,
    *,
    strict: bool = False,
    resource_types: str = "",
) -> JSON:
    """The searchset of a query over the resources of a content folder: what `apothecary serve` would answer.

    `query` is what stands behind the base of a server: a type with its parameters, or parameters alone; also a link of
    a searchset, such as that of its next page. `content` is a folder as `apothecary serve --content` takes it.
    `release` is the FHIR version of the answer, R5 by default. A parameter that is not understood is named in the
    OperationOutcome that ends the entries; with `strict` it is an error. `resource_types` are the types to serve, as
    in the setting of that name.

    >>> from apothecary import search
    >>> found = search("MedicationKnowledge?drug-name=klonopin&_elements=id", content="resources")
    >>> [entry["resource"]["id"] for entry in found["entry"]]
    ['clonazepam', 'klonopin-0-5-mg-tablet', 'klonopin-1-mg-tablet', 'klonopin-2-mg-tablet']

    Raises the errors that a server would answer with (`apothecary.errors`), ContentError for a folder or file that
    could not be served.
    """
    path, version = _at_base(query, release)
    resource_type, _, text = path.partition("?")
    pairs = decode(text)
    general = {name: value for name, value in pairs if name in GENERAL}
    served = frozenset(FhirVersion)
    wanted = negotiate("", "", general.get("_format"), general.get("_pretty"), version, FhirVersion.R5, served).version
    rest = [pair for pair in pairs if pair[0] not in GENERAL]
    with _folders.lock:
        service = _folders.service(content, resource_types)
        base = f"{BASE}/{wanted.segment}"
        answer: JSON = parse(_search.search(service, wanted, base, resource_type or None, rest, strict=strict))
    return answer


def read(
    reference: str,
    content: str | os.PathLike[str],
    release: FhirVersion | str | None = None,
    *,
    resource_types: str = "",
) -> JSON:
    """The resource of a content folder that `reference` names: `Medication/x`, or the fullUrl of a searchset.

    The other parameters are those of `search`.

    >>> from apothecary import read
    >>> read("Medication/clonazepam", content="resources", release="R4")["code"]["text"]
    'clonazepam'

    Raises NotFound where there is none, and what `search` raises.
    """
    path, version = _at_base(reference, release)
    resource_type, _, resource_id = path.partition("/")
    with _folders.lock:
        service = _folders.service(content, resource_types)
        stored = _read.read(service, version or FhirVersion.R5, resource_type, resource_id)
    answer: JSON = parse(stored.body or b"")
    return answer


def _at_base(address: str, release: FhirVersion | str | None) -> tuple[str, FhirVersion | None]:
    """What stands behind the base, and the release that is asked for there. Raises BadRequest where two are."""
    version = _release(release)
    found = _ADDRESS.match(address)
    if found is None:
        return address.removeprefix("/"), version
    named = _release(found[1])
    if version is not None and version is not named:
        raise BadRequest(f"release={version} was asked for at the base of FHIR {named}", expression="release")
    return address[found.end() :], named


@dataclass(slots=True)
class _Folder:
    """A content folder in a database of its own."""

    settings: Settings
    store: SqlStore
    database: Path
    service: Service | None = None

    def current(self) -> Service:
        """The parts that answer, in step with the files."""
        report = sync(self.settings, self.store)
        if self.service is None or report != Report(unchanged=report.unchanged):
            # Search parameters and code systems may be among what changed.
            self.service = make_service(self.settings, self.store)
        return self.service

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.database, ignore_errors=True)


class _Folders:
    """The folders that this process reads, by what they are served as. `lock` is held during a call."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._open: OrderedDict[tuple[Path, str], _Folder] = OrderedDict()

    def service(self, content: str | os.PathLike[str], resource_types: str) -> Service:
        """What answers for a folder as its files are now."""
        if not os.fspath(content) or not Path(content).exists():
            raise ContentError(os.fspath(content), 0, 0, "there is no such folder or file")
        key = Path(content).resolve(), resource_types
        folder = self._open.get(key)
        if folder is None:
            folder = self._open[key] = _opened(*key)
        self._open.move_to_end(key)
        while len(self._open) > KEPT:
            self._open.popitem(last=False)[1].close()
        return folder.current()

    def after_fork(self) -> None:
        """A child starts anew: the lock may have been held by a thread that it does not have, and SQLite's connections
        must be neither used nor closed by another process than their own
        (https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_).
        """
        self.lock, self._parents, self._open = threading.Lock(), self._open, OrderedDict()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _opened(folder: Path, resource_types: str) -> _Folder:
    database = Path(tempfile.mkdtemp(prefix="apothecary-content-"))
    settings = Settings(
        database=f"sqlite:///{database / 'content.db'}",
        content=str(folder),
        resource_types=resource_types,
        durability="normal",
    )
    return _Folder(settings, open_store(settings), database)


_folders = _Folders()
atexit.register(_folders.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_folders.after_fork)
