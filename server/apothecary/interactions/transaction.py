"""transaction: all entries or none. https://hl7.org/fhir/R5/http.html#transaction"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from apothecary.errors import FhirError
from apothecary.fhir.json import JSON
from apothecary.fhir.references import literals
from apothecary.interactions import integrity
from apothecary.interactions.answers import Context, of_get, of_write
from apothecary.interactions.entries import Entry, read_entry
from apothecary.interactions.identities import (
    Identity,
    Links,
    identities,
    refuse_ambiguity,
    refuse_early,
    refuse_overlap,
)
from apothecary.interactions.perform import patch_entry, perform
from apothecary.interactions.sizes import too_large
from apothecary.interactions.update import update
from apothecary.interactions.writing import Written, amend, nothing_deleted, put
from apothecary.store.contract import Stored, Transaction

# https://hl7.org/fhir/R5/http.html#trules: the order in which the entries take effect.
ORDER = {method: place for place, method in enumerate(("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD"))}


def transaction(context: Context, raw: Sequence[Any]) -> list[bytes]:
    """The answers to the entries, in the order of the bundle. Raises the error of the first entry that fails, the entry
    named; then nothing is stored.
    """
    entries = [
        read_entry(context.service, context.version, context.base, number, one, of_transaction=True)
        for number, one in enumerate(raw)
    ]
    refuse_early(entries)
    refuse_overlap((one, one.full_url) for one in entries if one.full_url and one.method in ("POST", "PUT"))
    return context.service.write(lambda inside: _Run(context, inside, entries).answers(), entries=len(entries))


class _Run:
    """One try of a transaction: entries in the order of the specification, answers in the order of the bundle."""

    def __init__(self, context: Context, inside: Transaction, entries: Sequence[Entry]) -> None:
        # What the bundle reads, it reads with its own writes.
        self.context = replace(context, service=context.service.within(inside))
        self.inside = inside
        self.entries = sorted(entries, key=lambda entry: ORDER[entry.method])
        self.written: dict[int, list[Written]] = {}
        self.gotten: dict[int, bytes] = {}

    def answers(self) -> list[bytes]:
        self.inside.foresee(
            (entry.resource_type, entry.resource_id)
            for entry in self.entries
            if entry.resource_id and entry.method in ("DELETE", "PUT", "PATCH")
        )
        deletions = [entry for entry in self.entries if entry.method == "DELETE"]
        for entry in deletions:
            with self._step(entry):
                self.written[entry.number] = perform(self.context, self.inside, entry)
        self.entries, settled = identities(self.context, self.inside, self.entries)
        refuse_overlap(self._changed(deletions, settled))
        links = Links(self.context, self.entries, settled)
        for entry in self.entries:
            if entry.number in settled:
                with self._step(entry):
                    self.written[entry.number] = [self._store(entry, settled[entry.number], links)]
        self._resolve_conditional_references(links)
        refuse_ambiguity(self.context, self.inside, self.entries, settled)
        placed = [(one, entry.expression) for entry in self.entries for one in self.written.get(entry.number, ())]
        integrity.check_placed(self.context.service, self.inside, self.context.base, placed)
        left = limit = self.context.service.settings.answer_limit
        for entry in self.entries:
            if entry.method in ("GET", "HEAD"):
                with self._step(entry):
                    answer = self.gotten[entry.number] = of_get(self.context, entry)
                    left -= len(answer)
                    if left < 0:
                        raise too_large(limit, "the answer", "Read in several bundles, or by themselves.")
        return [self._answer(entry) for entry in sorted(self.entries, key=lambda entry: entry.number)]

    @contextmanager
    def _step(self, entry: Entry) -> Iterator[None]:
        """A piece of work for one entry: not begun when the time of the bundle is over, and if it fails the error says
        which entry it was.
        """
        try:
            self.context.turn.go_on()
            yield
        except FhirError as error:
            raise entry.named(error) from None

    def _changed(self, deletions: Sequence[Entry], settled: Mapping[int, Identity]) -> Iterator[tuple[Entry, str]]:
        """Every resource that an entry changes, named by it or found by its criteria."""
        for entry in deletions:
            if entry.resource_id:
                yield entry, f"{entry.resource_type}/{entry.resource_id}"
            else:
                yield from ((entry, f"{one.stored.type}/{one.stored.id}") for one in self.written[entry.number])
        for entry in self.entries:
            if entry.number in settled and not settled[entry.number].exists:
                yield entry, settled[entry.number].name

    def _store(self, entry: Entry, identity: Identity, links: Links) -> Written:
        context, inside = self.context, self.inside
        patcher = entry.patcher
        if patcher is not None:
            return patch_entry(
                context, inside, entry, identity.id, lambda current: links.resolved(entry, patcher(current))
            )
        if identity.exists:
            there = identity.found or inside.read(identity.resource_type, identity.id)
            return Written(200, there or Stored(identity.resource_type, identity.id, 0, 0, context.version, None))
        resource: JSON = links.resolved(entry, entry.resource)
        if entry.method == "POST":
            stored = put(context.service, inside, context.version, context.base, resource, identity.id, None, "POST")
            return Written(201, stored, resource)
        conditions = entry.if_match, entry.if_none_match
        return update(context.service, inside, context.version, context.base, resource, identity.id, *conditions)

    def _resolve_conditional_references(self, links: Links) -> None:
        """The last step of a transaction, so that they find what any entry wrote."""
        for entry in self.entries:
            for place, one in enumerate(self.written.get(entry.number, ())):
                if one.resource is None or b"?" not in (one.stored.body or b""):
                    continue
                if not any("?" in literal for _, literal in literals(one.resource)):
                    continue
                with self._step(entry):
                    resource = links.conditional(self.inside, one.resource)
                    if resource is not one.resource:
                        context = self.context
                        stored = amend(
                            context.service, self.inside, context.version, context.base, one.stored, resource
                        )
                        self.written[entry.number][place] = one._replace(stored=stored, resource=resource)

    def _answer(self, entry: Entry) -> bytes:
        if entry.number in self.gotten:
            return self.gotten[entry.number]
        done = self.written[entry.number]
        return of_write(self.context, done[0] if done else nothing_deleted(entry.resource_type))
