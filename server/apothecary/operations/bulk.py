"""$export and $bulk-publish, as far as they are told of: https://hl7.org/fhir/uv/bulkdata/

They answer with files, later or at other addresses, so they are called by themselves: `apothecary.rest.bulk`.
"""

from __future__ import annotations

from apothecary.errors import NotSupported
from apothecary.fhir.json import JSON
from apothecary.operations.base import Argument, Call, Operation


def alone(call: Call) -> JSON:
    """Raises NotSupported: in a bundle there is no place for what it answers."""
    raise NotSupported("an operation that answers with files is called by itself, not in a bundle")


_BASE = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
OPERATIONS = (
    Operation(
        "export",
        f"{_BASE}export",
        frozenset({"system"}),
        False,
        alone,
        arguments=(
            Argument("_outputFormat", "string", "application/fhir+ndjson, the default, or one of its short names."),
            Argument("_since", "string", "An instant: only what was changed later, and what was deleted."),
            Argument("_until", "string", "An instant: only what was changed before."),
            Argument("_type", "string", "The types to export, between commas. All by default.", repeats=True),
            Argument("_typeFilter", "string", "A search that resources of its type must meet.", repeats=True),
            Argument("_elements", "string", "The elements to export, such as name or Medication.code.", repeats=True),
            Argument("allowPartialManifests", "boolean", "Whether files may be told of before all are there."),
        ),
    ),
    Operation("bulk-publish", f"{_BASE}bulk-publish", frozenset({"system"}), False, alone),
)
