"""Documents -> resources that are ready to be stored: read, checked, and with the rows that the index gets of them.

Nothing here asks a database, so that several processes can do it beside the one that writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from apothecary.content.definitions import Serving
from apothecary.content.documents import Document
from apothecary.content.items import Fail, Item, items
from apothecary.errors import Issue, TooLarge
from apothecary.fhir.json import parse
from apothecary.fhir.meta import Unstamped, unstamped
from apothecary.fhir.releases import FhirVersion
from apothecary.search.bounds import OPERATOR, bounded_rows
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.shaping import Shaped, shape
from apothecary.validation import ERRORS, validate


class Prepared(NamedTuple):
    """A valid resource, in the release `version`, with what it leaves in the index."""

    type: str
    id: str
    version: str
    text: Unstamped
    rows: Shaped

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.id

    def is_in(self, current: Stored) -> bool:
        """Whether `current` holds just this text: then it would be written again byte for byte."""
        if current.fhir_version != self.version:
            return False
        return self.text.stamped(current.version, current.updated) == current.body


@dataclass(frozen=True, slots=True)
class Preparing:
    """How documents become resources that are ready. A resource is kept in the release that it claims, or its package
    does, or else in `version`; without `validation` an invalid one is taken as it is; `sqlite` says which tables the
    rows are for.
    """

    settings: Settings
    version: FhirVersion
    validation: bool
    sqlite: bool

    def items(self, document: Document, known: Serving, fail: Fail) -> Iterator[Item]:
        """The resources of a document that have a place in the store; `fail` is told the others."""
        for item in items(document, self.version, fail):
            kind, version = item.key[0], item.version
            if known.registries[version].serves(kind):
                yield item
            else:
                said = f"is a {kind}, which is not served in FHIR {version} (see APOTHECARY_RESOURCE_TYPES)"
                fail(item.failure((), f"the resource {said}"))

    def prepared(self, item: Item, known: Serving, fail: Fail) -> Prepared | None:
        """A resource that is valid; None, and the failure told, for another."""
        issues: list[Issue] = []
        if self.validation:
            issues = validate(item.resource, item.version, options=ERRORS)
        if not issues:
            registry = known.registries[FhirVersion.R5]
            try:
                text = unstamped(item.resource, item.id)
                written = text.before + text.after
                rows = bounded_rows(self.settings, registry, item.resource, item.version, written, times=OPERATOR)
                return Prepared(*item.key, str(item.version), text, shape(*item.key, rows, sqlite=self.sqlite))
            except TooLarge as error:
                issues = list(error.issues)
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                # Without validation a value may be of any shape.
                issues = [Issue("error", "value", f"a value cannot be indexed: {error}")]
        first, more = issues[0], f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        fail(item.failure(first.pointer or (), f"{'/'.join(item.key)}: {first.diagnostics}{more}"))
        return None

    def remade(self, one: Prepared, registry: Registry) -> Prepared:
        """The same resource with the rows that other definitions want."""
        rows = registry.rows(parse(one.text.stamped(1, 0)), FhirVersion(one.version))
        return one._replace(rows=shape(*one.key, rows, sqlite=self.sqlite))
