"""Two servers that differ in what a client may not see: one has it, the other never had.

Whatever the client asks, both must answer the same, to the byte. That says more than to look for words of what is
hidden: it also covers counts, orders, statuses, links and messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from apothecary.access.grant import GRANT, Grant
from apothecary.access.guard import Guards
from apothecary.app import Apothecary, create_app
from apothecary.bulk.job import read
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

# Stands in every hidden resource, and nowhere else.
MARKER = "zqxvsecret"
ALL = ("system/*.cruds",)
BEGIN = 1_790_000_000_000_000

TYPES = (
    "Basic Binary ClinicalUseDefinition CodeSystem Composition ConceptMap List Location Medication MedicationKnowledge"
    " Organization Patient Provenance StructureDefinition Substance ValueSet"
)
# What is seen: some types as a whole, some where they are active, some only by address, some not at all.
SCOPES = (
    "system/ClinicalUseDefinition.cruds",
    "system/CodeSystem.rs?status=active",
    "system/Composition.rs",
    "system/ConceptMap.rs?status=active",
    "system/List.cruds",
    "system/Location.r",
    "system/Medication.cruds?status=active",
    "system/MedicationKnowledge.cruds",
    "system/StructureDefinition.rs?status=active",
    "system/Substance.s",
    "system/ValueSet.rs?status=active",
)


class Row(NamedTuple):
    """A version of a resource: None for a deletion. A hidden one is in one world only."""

    hidden: bool
    key: str
    resource: dict[str, Any] | None


def coded(*codes: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://ex.org/drugs", "code": one, "display": f"drug {one}"} for one in codes]}


def rows() -> Iterator[Row]:
    """What there is, in the order in which it was written. What open resources point to has an id without the marker:
    that they say themselves.
    """

    def row(key: str, hidden: bool = False, **said: Any) -> Row:
        kind, identity = key.split("/")
        return Row(hidden, key, {"resourceType": kind, "id": identity, **said})

    def ref(key: str) -> dict[str, str]:
        return {"reference": key}

    secret = f"{MARKER} corp"
    yield row("Organization/far", True, name=secret, identifier=[{"system": "http://ex.org/id", "value": MARKER}])
    yield row("Organization/over", True, name=f"{secret} mother", partOf=ref("Organization/far"))
    yield row(
        "Medication/a-active",
        status="active",
        code=coded("one", "shared"),
        marketingAuthorizationHolder=ref("Organization/far"),
    )
    yield row("Medication/near", True, status="inactive", code=coded(MARKER, "shared"), batch={"lotNumber": MARKER})
    yield row(f"Medication/{MARKER}-2", True, status="entered-in-error", code=coded(MARKER, "one"))
    yield row(
        "Medication/z-active",
        status="active",
        code=coded("two", "shared"),
        ingredient=[{"item": {"reference": ref("Medication/near")}}],
    )
    yield row("Medication/was", status="active", code=coded("old"))
    yield row("Medication/was", status="active", code=coded("older", "shared"))
    yield row("Medication/gone", True, status="inactive", code=coded(MARKER))
    yield Row(True, "Medication/gone", None)
    yield row("Patient/p", True, name=[{"family": MARKER}], managingOrganization=ref("Organization/far"))
    yield row("Substance/s", instance=False, code={"concept": coded("one")})
    yield row("Location/l", name="Shelf", managingOrganization=ref("Organization/far"))
    yield row(
        "MedicationKnowledge/k",
        status="active",
        name=["Klarin"],
        code=coded("one"),
        associatedMedication=[ref("Medication/a-active"), ref("Medication/near")],
    )
    yield row(
        "MedicationKnowledge/m",
        status="inactive",
        name=["Mortin"],
        code=coded("two"),
        associatedMedication=[ref("Medication/near")],
    )
    yield row("MedicationKnowledge/x", status="active", code=coded("three"))
    yield Row(False, "MedicationKnowledge/x", None)
    yield row(
        "ClinicalUseDefinition/c",
        type="indication",
        status=coded("active"),
        subject=[ref("Medication/a-active"), ref("Medication/near")],
        indication={
            "diseaseSymptomProcedure": {"concept": {"coding": [{"system": "http://ex.org/codes", "code": "open"}]}}
        },
    )
    yield row(
        "List/open",
        status="current",
        mode="working",
        entry=[{"item": ref("Medication/a-active")}, {"item": ref("Medication/near")}],
    )
    yield row(
        "List/mixed",
        status="current",
        mode="working",
        subject=[ref("Patient/p")],
        contained=[{"resourceType": "Medication", "id": "in", "status": "inactive", "code": coded("inside")}],
        entry=[{"item": ref("#in")}],
    )
    yield row(
        "Basic/b",
        True,
        code={"text": secret},
        subject=ref("Medication/a-active"),
        contained=[{"resourceType": "Medication", "id": "in", "status": "active", "code": coded(MARKER, "inside")}],
        extension=[{"url": "http://ex.org/in", "valueReference": ref("#in")}],
    )
    yield row(
        "Provenance/p",
        True,
        target=[ref("Medication/a-active"), ref("MedicationKnowledge/k")],
        recorded="2026-01-01T00:00:00Z",
        agent=[{"who": {"display": secret}}],
    )
    yield row(
        "CodeSystem/open",
        url="http://ex.org/codes",
        status="active",
        content="complete",
        caseSensitive=True,
        concept=[{"code": "open", "display": "Open one", "concept": [{"code": "below", "display": "Below"}]}],
    )
    yield row(
        "CodeSystem/hidden",
        True,
        url="http://ex.org/hidden",
        status="draft",
        content="complete",
        caseSensitive=True,
        concept=[{"code": MARKER, "display": secret}],
    )
    # A newer version of the same code system, which is not seen.
    yield row(
        "CodeSystem/newer",
        True,
        url="http://ex.org/codes",
        version="9",
        status="draft",
        content="complete",
        caseSensitive=True,
        concept=[{"code": "open", "display": secret}, {"code": MARKER, "display": secret}],
    )
    yield row(
        "ValueSet/open",
        url="http://ex.org/vs",
        status="active",
        compose={"include": [{"system": "http://ex.org/codes"}]},
    )
    yield row(
        "ValueSet/both",
        url="http://ex.org/both",
        status="active",
        compose={"include": [{"system": "http://ex.org/codes"}, {"valueSet": ["http://ex.org/hidden-vs"]}]},
    )
    yield row(
        "ValueSet/hidden",
        True,
        url="http://ex.org/hidden-vs",
        status="draft",
        compose={
            "include": [
                {"system": "http://ex.org/drugs", "concept": [{"code": MARKER, "display": secret}, {"code": "one"}]}
            ]
        },
    )
    yield row(
        "ConceptMap/hidden",
        True,
        url="http://ex.org/map",
        status="draft",
        sourceScopeUri="http://ex.org/vs",
        group=[
            {
                "source": "http://ex.org/codes",
                "target": "http://ex.org/hidden",
                "element": [{"code": "open", "target": [{"code": MARKER, "relationship": "equivalent"}]}],
            }
        ],
    )
    yield row(
        "StructureDefinition/hidden",
        True,
        url="http://ex.org/profile",
        name="Hidden",
        status="draft",
        kind="resource",
        abstract=False,
        type="Medication",
        baseDefinition="http://hl7.org/fhir/StructureDefinition/Medication",
        derivation="constraint",
        fhirVersion="5.0.0",
        differential={"element": [{"id": "Medication.code", "path": "Medication.code", "min": 1, "short": MARKER}]},
    )
    yield row(
        "Composition/open",
        url="http://ex.org/composition",
        status="final",
        type=coded("one"),
        date="2026-01-01",
        title="Open",
        author=[ref("Organization/far")],
        section=[{"title": "drugs", "entry": [ref("Medication/a-active"), ref("Medication/near")]}],
    )
    yield row(
        f"Medication/{MARKER}-3",
        True,
        status="inactive",
        code={"text": f"klarin {MARKER} mortin"},
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{secret} klarin</p></div>'},
    )
    # Is known by what is hidden, too.
    yield row(
        "MedicationKnowledge/k2",
        status="active",
        name=["Two"],
        code=coded("two"),
        associatedMedication=[ref("Medication/z-active")],
    )
    yield row("Binary/b", True, contentType="text/plain", data="enF4dnNlY3JldA==")


@dataclass(frozen=True)
class Said:
    """An answer as far as two may differ in it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


# What a server makes up, or takes from the clock.
_MADE = (
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[478][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), b"ID"),
    (re.compile(rb"in [0-9.]+ ms"), b"in T ms"),
    (re.compile(rb"\$export/[-_A-Za-z0-9]{22}"), b"$export/JOB"),
    (re.compile(rb'"timestamp":\s*"[^"]*"'), b"TIMESTAMP"),
)
# Two answers to the same may differ in these.
_OWN = frozenset({"X-Request-Id", "Date", "Content-Length", "Expires"})


def plain(text: bytes) -> bytes:
    for made, shown in _MADE:
        text = made.sub(shown, text)
    return text


class World:
    """One of the two servers."""

    def __init__(self, database_url: str, *, hidden: bool, then: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`hidden` says whether it has what is not to be seen; `then` are settings that hold once all is there."""
        given: dict[str, Any] = {
            "content": "",
            "resource_types": TYPES.replace(" ", ","),
            "references": "allowed",
            "cache_bytes": 0,
        }
        given |= {"secret": "s" * 32, "base_url": "http://localhost/fhir", "publish_seconds": 1000, "cds_hooks": True}
        self.settings = Settings(database=database_url, **given)
        self.store: SqlStore = open_store(self.settings)
        self.moment = BEGIN
        self.store.clock = lambda: self.moment
        self.app: Apothecary = create_app(self.settings, self.store)
        self.app.service.guards = Guards(self.app.service)
        for number, one in enumerate(rows()):
            self.moment = BEGIN + number * 60_000_000
            if hidden or not one.hidden:
                method = "DELETE" if one.resource is None else "PUT"
                told = self.ask(method, f"/fhir/r5/{one.key}", json.dumps(one.resource) if one.resource else None, ALL)
                assert told.status in (200, 201, 204), (one.key, told.body)
        self.moment = BEGIN + 10_000 * 60_000_000
        self.app.service.settings = replace(self.settings, **then)

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        scopes: Sequence[str] = SCOPES,
        headers: Mapping[str, str] | None = None,
        client: str = "one",
    ) -> Said:
        grant = Grant(client, None, "http://localhost", tuple(scopes), 0)
        given = {"Content-Type": "application/fhir+json", "Prefer": "respond-async"} | dict(headers or {})
        parts = urlsplit(path)
        with self.app.test_client().open(
            parts.path,
            query_string=parts.query,
            method=method,
            data=body,
            headers=given,
            environ_overrides={GRANT: grant},
        ) as answer:
            seen = plain(answer.data)
            # A tag that is made of the body is another where that tells a time.
            own = _OWN if seen == answer.data else _OWN | {"ETag"}
            told = [(name, plain(value.encode()).decode()) for name, value in answer.headers if name not in own]
            return Said(answer.status_code, tuple(sorted(told)), seen)

    def jobs(self) -> list[str]:
        """The addresses of the exports that there are, in the order in which they were begun."""
        jobs = sorted((read(row.data).created, row.id) for row in self.app.worker.forget() if row.kind == "export")
        return [f"/fhir/r4/$export/{identity}" for _, identity in jobs]

    def close(self) -> None:
        self.app.worker.stop()
        self.store.close()


@contextmanager
def two_worlds(urls: tuple[str, str], **more: Any) -> Iterator[tuple[World, World]]:
    """Both, until the block ends; `more` as a `World` takes it."""
    with_it, without = World(urls[0], hidden=True, **more), World(urls[1], hidden=False, **more)
    try:
        yield with_it, without
    finally:
        with_it.close()
        without.close()
