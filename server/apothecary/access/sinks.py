"""Where records of requests are kept: in files, or among the resources of the store."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from apothecary.access.records import CHAIN, started
from apothecary.access.trail import Trail
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.interactions.writing import put
from apothecary.settings import Settings
from apothecary.store.contract import Transaction

Event = dict[str, Any]


class Sink(Protocol):
    """Where records go."""

    transactional: bool
    """Whether a record can be part of the transaction that it tells of."""

    def write(self, found: Sequence[Event]) -> None:
        """Keep records. Raises FhirError where that cannot be done."""

    def write_within(self, transaction: Transaction, found: Sequence[Event]) -> None:
        """The same in a transaction."""


class Files:
    """A folder of files."""

    transactional = False

    def __init__(self, settings: Settings) -> None:
        """Raises StartError where the folder cannot be written to."""
        server = socket.gethostname()
        self._trail = Trail(
            Path(settings.audit_folder),
            size=settings.audit_bytes,
            files=settings.audit_files,
            durable=settings.audit_durability == "full",
            begin=lambda said: msgspec.json.encode(started(server, now(), said)),
        )

    def write(self, found: Sequence[Event]) -> None:
        self._trail.append([msgspec.json.encode(one) for one in found])

    def write_within(self, transaction: Transaction, found: Sequence[Event]) -> None:
        """Not before it is committed."""


class Resources:
    """The store of the server itself. What it keeps is a version of a resource as any other, and has no chain."""

    transactional = True

    def __init__(self, service: Service) -> None:
        self._service = service

    def write(self, found: Sequence[Event]) -> None:
        self._service.store.write(lambda transaction: self.write_within(transaction, found), brief=True)

    def write_within(self, transaction: Transaction, found: Sequence[Event]) -> None:
        base = self._service.settings.root
        for event in found:
            meta = {"tag": [one for one in event["meta"]["tag"] if one["system"] != CHAIN]}
            kept = event | {"meta": {name: value for name, value in (event["meta"] | meta).items() if value}}
            put(self._service, transaction, FhirVersion.R4, base, kept, event["id"], None, "POST")


def sink_for(service: Service) -> Sink:
    """What the settings say. Raises StartError."""
    return Resources(service) if service.settings.audit == "store" else Files(service.settings)
