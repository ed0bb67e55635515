"""The clients that get access tokens here: a folder with a YAML file for each.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys

The folder is looked at again while the server runs: who is taken out of it is out at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from apothecary.access.criteria import check
from apothecary.access.remote import Fetch, Remote, fetch, why_not
from apothecary.access.scopes import Scopes
from apothecary.access.signed import MOST_KEYS, Public, public_key, usable
from apothecary.content.documents import Pointer
from apothecary.content.schemas import placed, read_as
from apothecary.content.yaml import read_yaml
from apothecary.errors import ContentError, InvalidFile, StartError
from apothecary.settings import PREFIX, Settings

log = logging.getLogger("apothecary")

SUFFIXES = (".yaml", ".yml")
# The largest file in bytes, and the most clients.
LONGEST, MOST = 256 * 1024, 10_000
# A file that was rewritten in its place is noticed after so many seconds; one that came or went, at once.
EVERY = 1.0


class KeySet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Web Key Set: https://www.rfc-editor.org/rfc/rfc7517#section-5"""

    keys: Annotated[
        tuple[dict[str, Any], ...], Meta(min_length=1, max_length=MOST_KEYS, description="The public keys.")
    ]


class ClientFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a client."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^[!-~]{1,200}$",
            description="The client_id, by which the client makes itself known.",
            extra_json_schema={"errorMessage": "1 to 200 characters of ASCII without spaces"},
        ),
    ]
    name: Annotated[str, Meta(min_length=1, max_length=200, description="What people call it.")]
    scopes: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=200, description="What it may do, such as system/Medication.rs.")
    ]
    jwks: Annotated[KeySet, Meta(description="Its public keys; or jwks_url.")] | UnsetType = UNSET
    jwks_url: Annotated[str, Meta(description="Where its public keys are: an address with https.")] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `keys` are those of its file, `remote` those at its address: one of the two."""

    id: str
    name: str
    scopes: Scopes
    keys: tuple[Public, ...] = ()
    remote: Remote[tuple[Public, ...]] | None = None

    def keys_for(self, kid: object, jku: object = None) -> tuple[Public, ...]:
        """The keys among which one of that kid may be. Raises Unreachable where they cannot be had, ValueError where
        the client names another place for them than its own.
        """
        if jku is not None and (self.remote is None or jku != self.remote.url):
            raise ValueError("jku is not the address that was registered")
        if self.remote is None:
            return self.keys
        found = self.remote.get()
        # The client has changed its keys, perhaps.
        return found if any(one.kid == kid for one in found) else self.remote.again()


class Clients:
    """The clients of a folder, as it is now."""

    def __init__(
        self, folder: Path, *, fetch: Fetch = fetch, clock: Callable[[], float] = time.monotonic, every: float = EVERY
    ) -> None:
        """Raises StartError, with the place of every fault."""
        self.generation = 0
        """Goes up whenever a client is changed, or has gone."""
        self._folder, self._fetch, self._clock, self._every = folder, fetch, clock, every
        self._lock = Lock()
        self._files: dict[Path, tuple[tuple[int, ...], Client | None]] = {}
        self._by_id: Mapping[str, Client] = {}
        self._stamp: int | None = None
        self._looked = float("-inf")
        faults = self._read_all()
        if faults:
            raise InvalidFile(tuple(faults))

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._by_id.values())

    def get(self, client_id: str) -> Client | None:
        """The client of an id, as its file says now."""
        self.look()
        return self._by_id.get(client_id)

    def look(self) -> None:
        """Take in what changed. A file that is broken now stands for nobody, and the log says where it is broken."""
        now = self._clock()
        if self._stamp_now() == self._stamp and now - self._looked < self._every:
            return
        with self._lock:
            for fault in self._read_all():
                log.error("client refused: %s", fault)

    def _stamp_now(self) -> int | None:
        try:
            return os.stat(self._folder).st_mtime_ns
        except OSError:
            return None

    def _read_all(self) -> list[ContentError]:
        """Read the files that changed; what is wrong with them."""
        self._looked, self._stamp = self._clock(), self._stamp_now()
        faults: list[ContentError] = []
        found: dict[Path, tuple[tuple[int, ...], Client | None]] = {}
        for path, state in self._listed():
            before = self._files.get(path)
            if before is not None and before[0] == state:
                found[path] = before
                continue
            try:
                found[path] = state, read_client(path, self._fetch)
            except InvalidFile as error:
                found[path] = state, None
                faults += error.faults
        by_id: dict[str, Client] = {}
        for path, (_, client) in found.items():
            if client is None:
                continue
            if client.id in by_id:
                first = next(one for one, (_, other) in found.items() if other is by_id[client.id])
                faults.append(ContentError(str(path), 0, 0, f"{first.name} has the same id"))
                continue
            by_id[client.id] = client
        self._files = found
        if by_id != self._by_id:
            self._by_id = by_id
            self.generation += 1
        return faults

    def _listed(self) -> list[tuple[Path, tuple[int, ...]]]:
        """Each file with what tells whether it changed. A folder that cannot be read has no clients."""
        listed: list[tuple[Path, tuple[int, ...]]] = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                        state = _state(entry)
                        if state is not None:
                            listed.append((Path(entry.path), state))
        except OSError as error:
            log.error("the clients in %s cannot be read: %s", self._folder, error.strerror)
            return []
        if len(listed) > MOST:
            log.error("there are more than %d clients in %s: the others are left out", MOST, self._folder)
        return sorted(listed)[:MOST]


def _state(entry: os.DirEntry[str]) -> tuple[int, ...] | None:
    """What tells whether a file changed; None for one that has just gone, which takes no other client along."""
    try:
        told = entry.stat()
    except OSError:
        # A link that leads nowhere is told by whoever reads it.
        return () if os.path.lexists(entry.path) else None
    return told.st_mtime_ns, told.st_ctime_ns, told.st_ino, told.st_size


def read_client(path: Path, fetch: Fetch = fetch) -> Client:
    """The client of a file. Raises InvalidFile with every fault at its place."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ValueError(f"it is larger than {LONGEST} bytes")
        decoded = text.decode()
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise InvalidFile((ContentError(str(path), 0, 0, reason),)) from None
    document = read_yaml(str(path), decoded)
    given = read_as(ClientFile, document)
    faults: list[tuple[Pointer, str]] = []
    for number, scope in enumerate(given.scopes):
        try:
            check(Scopes.parse((scope,)))
        except ValueError as error:
            faults.append((("scopes", number), str(error)))
    keys: list[Public] = []
    if (given.jwks is UNSET) == (given.jwks_url is UNSET):
        faults.append(((), "write either jwks, the public keys, or jwks_url, the address where they are"))
    elif isinstance(given.jwks, KeySet):
        for number, one in enumerate(given.jwks.keys):
            try:
                keys.append(public_key(one))
            except ValueError as error:
                faults.append((("jwks", "keys", number), str(error)))
        if len({one.kid for one in keys}) < len(keys):
            faults.append((("jwks", "keys"), "two keys have one kid"))
    elif isinstance(given.jwks_url, str) and (against := why_not(given.jwks_url)):
        faults.append((("jwks_url",), against))
    try:
        scopes = Scopes.known(given.scopes)
    except ValueError as error:
        faults.append((("scopes",), str(error)))
    if faults:
        raise InvalidFile(placed(document, faults))
    remote = Remote(given.jwks_url, usable, fetch=fetch) if isinstance(given.jwks_url, str) else None
    return Client(given.id, given.name, scopes, tuple(keys), remote)


def clients_of(settings: Settings) -> Clients | None:
    """The clients of the settings; None where nobody gets tokens here. Raises StartError."""
    if not settings.clients:
        return None
    folder = Path(settings.clients)
    if not folder.is_dir():
        if settings.issuers:
            return None
        raise StartError(
            f"{PREFIX}CLIENTS: there is no folder {folder}. `apothecary clients new NAME` makes it, with a client."
        )
    return Clients(folder)
