"""All that a label becomes, apart from its products: statements, the document, and the reference to its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apothecary.fhir.json import JSON
from apothecary.importers.formats import Made
from apothecary.importers.labels.documents import composition, document_reference
from apothecary.importers.labels.knowledge import of_label
from apothecary.importers.labels.record import Label
from apothecary.importers.labels.statements import statements
from apothecary.importers.report import Report


def resources(label: Label, products: Callable[[JSON], Iterator[JSON]], report: Report) -> Iterator[Made]:
    """The resources of a label. `products` makes those of its products, given what the label says of all of them."""
    found = statements(label, report)
    for one in products(of_label(label, found)):
        yield Made(one, label.place, label.date)
    for statement in found:
        yield Made(statement.resource, label.place, label.date)
    document = composition(label, report)
    yield Made(document_reference(label, described=document is not None), label.place, label.date)
    if document is not None:
        yield Made(document, label.place, label.date)
