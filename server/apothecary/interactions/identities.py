"""Which resource each entry of a transaction is about, settled before any is written so that entries can point to each
other, and the links between them: https://hl7.org/fhir/R5/http.html#trules
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from apothecary.errors import BadRequest, FhirError, PreconditionFailed
from apothecary.fhir.links import rewrite
from apothecary.fhir.references import localise, parse_reference
from apothecary.interactions.answers import Context
from apothecary.interactions.conditional import matches, query_of, single
from apothecary.interactions.entries import Entry
from apothecary.interactions.ids import new_id
from apothecary.interactions.perform import patch_target
from apothecary.interactions.update import target_of
from apothecary.search.own import bases
from apothecary.search.text import decode, split
from apothecary.store.contract import Stored, Transaction


@dataclass(frozen=True, slots=True)
class Identity:
    """A resource that an entry is about. A POST with `exists` writes nothing: its condition has found the resource, or
    an entry with the same condition before it creates it.
    """

    resource_type: str
    id: str
    exists: bool = False
    found: Stored | None = None

    @property
    def name(self) -> str:
        return f"{self.resource_type}/{self.id}"


def identities(
    context: Context, transaction: Transaction, entries: Sequence[Entry]
) -> tuple[list[Entry], dict[int, Identity]]:
    """The entries with their criteria resolved, and the resource of every POST, PUT and PATCH by the entry's number.
    An entry whose criteria name another entry comes after that one. Raises what finding it raises, the entry named.
    """
    result: dict[int, Identity] = {}
    conditional: dict[tuple[str, str], Identity] = {}
    addresses = {one.full_url: one for one in entries if one.full_url and one.method in ("POST", "PUT", "PATCH")}
    ready: dict[int, Entry] = {}
    waiting = list(entries)
    while waiting:
        settled = {url: result[one.number].name for url, one in addresses.items() if one.number in result}
        free = [one for one in waiting if not named(one, addresses) - settled.keys()]
        if not free:
            first = waiting[0]
            others = ", ".join(sorted(named(first, addresses) - settled.keys()))
            problem = BadRequest(
                f"the criteria name {others}, whose criteria name this entry",
                expression="criteria",
                remedy="Write criteria that do not name each other's entries.",
            )
            raise first.named(problem)
        done = {one.number for one in free}
        waiting = [one for one in waiting if one.number not in done]
        resolved = [_with_links(one, settled) for one in free]
        ready.update((one.number, one) for one in resolved)
        _settle(context, transaction, resolved, result, conditional)
    return [ready[one.number] for one in entries], result


def _criteria(entry: Entry) -> str:
    if entry.method == "POST":
        return entry.if_none_exist or ""
    return entry.criteria if entry.method in ("PUT", "PATCH", "DELETE") else ""


def _values(criteria: str) -> Iterator[str]:
    """Every value between the commas of every parameter."""
    for _, value in decode(criteria.partition("?")[2] or criteria):
        yield from split(value, ",")


def named(entry: Entry, addresses: Container[str]) -> set[str]:
    """The addresses of other entries that the criteria of an entry name."""
    criteria = _criteria(entry)
    return {one for one in _values(criteria) if one in addresses and one != entry.full_url} if criteria else set()


def _with_links(entry: Entry, settled: Mapping[str, str]) -> Entry:
    """`entry` with the entries that its criteria name replaced by their resources, as in references
    (https://hl7.org/fhir/R5/http.html#trules).
    """
    if not named(entry, settled):
        return entry
    place, mark, query = _criteria(entry).rpartition("?")
    pairs = [(name, ",".join(settled.get(one, one) for one in split(value, ","))) for name, value in decode(query)]
    criteria = f"{place}{mark}{urlencode(pairs)}"
    return replace(entry, if_none_exist=criteria) if entry.method == "POST" else replace(entry, criteria=criteria)


def _settle(
    context: Context,
    transaction: Transaction,
    entries: Iterable[Entry],
    result: dict[int, Identity],
    conditional: dict[tuple[str, str], Identity],
) -> None:
    for entry in entries:
        try:
            context.turn.go_on()
            if entry.method == "POST" and entry.if_none_exist is not None:
                kind = entry.resource_type
                key = kind, query_of(context.service, context.base, kind, entry.if_none_exist)
                if key in conditional:
                    result[entry.number] = replace(conditional[key], exists=True)
                else:
                    result[entry.number] = conditional[key] = _created_unless(context, transaction, entry)
            elif entry.method == "POST":
                result[entry.number] = Identity(entry.resource_type, new_id())
            elif entry.method == "PUT" and entry.resource is not None:
                target = entry.resource_id or target_of(
                    context.service, transaction, context.version, context.base, entry.resource, entry.criteria
                )
                result[entry.number] = Identity(entry.resource_type, target)
            elif entry.method == "PATCH":
                result[entry.number] = Identity(entry.resource_type, patch_target(context, transaction, entry))
        except FhirError as error:
            raise entry.named(error) from None


def _created_unless(context: Context, transaction: Transaction, entry: Entry) -> Identity:
    kind, criteria = entry.resource_type, entry.if_none_exist or ""
    found = single(context.service, transaction, context.version, context.base, kind, criteria)
    if found is None:
        return Identity(kind, new_id())
    return Identity(kind, found.id, exists=True, found=Stored(*found[:6]))


def refuse_early(entries: Iterable[Entry]) -> None:
    """Raises BadRequest for a deletion whose criteria name another entry: it happens before there is anything."""
    addresses = {one.full_url for one in entries if one.full_url}
    for entry in entries:
        if entry.method == "DELETE" and (names := named(entry, addresses)):
            problem = f"deletions come first, so the criteria cannot name {', '.join(sorted(names))}, another entry"
            raise entry.named(BadRequest(problem, expression="criteria"))


def refuse_overlap(changed: Iterable[tuple[Entry, str]]) -> None:
    """Raises BadRequest where two entries change the resource of one name: their order would decide."""
    seen: dict[str, Entry] = {}
    for entry, name in changed:
        other = seen.setdefault(name, entry)
        if other is not entry:
            raise BadRequest(
                f"{other.expression} and {entry.expression} are both about {name}",
                expression=[other.expression, entry.expression],
                code="duplicate",
                remedy="Let a transaction change each resource once.",
            )


def refuse_ambiguity(
    context: Context, transaction: Transaction, entries: Iterable[Entry], settled: Mapping[int, Identity]
) -> None:
    """Raises PreconditionFailed where the criteria of a POST or PUT, now that all is written, find a resource that
    another entry wrote: had that entry come first, the criteria would have meant its resource.
    """
    written = {identity.name for identity in settled.values()}
    for entry in entries:
        criteria = entry.if_none_exist if entry.method == "POST" else entry.criteria if entry.method == "PUT" else ""
        if not criteria:
            continue
        own = settled[entry.number].name
        try:
            context.turn.go_on()
            found = matches(
                context.service, transaction, context.version, context.base, entry.resource_type, criteria, len(written)
            )
        except FhirError as error:
            raise entry.named(error) from None
        others = sorted(name for hit in found if (name := f"{hit.type}/{hit.id}") in written and name != own)
        if others:
            ambiguous = PreconditionFailed(
                f"{entry.resource_type}?{criteria} finds {others[0]}, which another entry writes",
                code="multiple-matches",
                remedy="Let only one entry of a transaction write what the criteria find.",
            )
            raise entry.named(ambiguous)


class Links:
    """The links that the entries of one transaction may have to each other, and their final form."""

    def __init__(self, context: Context, entries: Sequence[Entry], settled: Mapping[int, Identity]) -> None:
        self._context = context
        self._targets = {
            one.full_url: settled[one.number].name for one in entries if one.full_url and one.number in settled
        }

    def resolved(self, entry: Entry, resource: Any) -> Any:
        """`resource`, of `entry`, with its links to other entries replaced. Conditional references stay."""
        # Without addresses there is nothing that a link could mean.
        if not self._targets:
            return resource
        # What stands before Type/id. Whatever else a fullUrl may be, it is only compared.
        root = entry.full_url.rsplit("/", 2)[0] if entry.full_url.startswith(("http://", "https://")) else ""

        def resolve(link: str) -> str | None:
            target = self._targets.get(link)
            if target is None and root and parse_reference(link).relative:
                # [root]/Type/id is beside the entry's own fullUrl [root]/Type/id.
                target = self._targets.get(f"{root}/{link}")
            return target

        return rewrite(resource, self._context.version, resolve)

    def conditional(self, transaction: Transaction, resource: Any) -> Any:
        """`resource` with its conditional references replaced, each of which must find exactly one resource; the same
        object where there are none. Raises PreconditionFailed, and Busy when the bundle's time is over.
        """
        context = self._context
        registry = context.service.registry(context.version)
        own = bases(context.service.settings, context.base)

        def resolve(link: str) -> str | None:
            kind, question, criteria = localise(link, own).partition("?")
            if not question or not registry.serves(kind):
                return None
            # One resource may hold thousands of them.
            context.turn.go_on()
            found = single(context.service, transaction, context.version, context.base, kind, criteria)
            if found is None:
                raise PreconditionFailed(f"the conditional reference {link} finds nothing", code="not-found")
            return f"{kind}/{found.id}"

        return rewrite(resource, context.version, resolve, references_only=True)
