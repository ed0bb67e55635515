"""What a content folder must be before it is served: every resource valid, and references to nothing pointed out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from apothecary.content.files import ContentFile
from apothecary.content.read import read_bytes
from apothecary.errors import ContentError
from apothecary.fhir.references import literals, localise, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate


def refuse_invalid(file: ContentFile) -> None:
    """Raises ContentError, with the place of the first error and the number of all, for an invalid resource."""
    errors = [issue for issue in validate(file.value, FhirVersion.R5) if issue.severity in ("error", "fatal")]
    if not errors:
        return
    first = errors[0]
    document = read_bytes(str(file.path), file.path.read_bytes())
    line, column = document.positions.find(first.pointer or ())
    more = f" (and {len(errors) - 1} more; run: apothecary validate {file.path})" if len(errors) > 1 else ""
    raise ContentError(str(file.path), line, column, f"{first.diagnostics}{more}", tuple(errors))


def dangling(files: Mapping[str, ContentFile], types: Collection[str], own: Sequence[str] = ()) -> Iterator[str]:
    """A sentence for each reference of a file to a local resource that no file holds; `own` are the addresses of this
    server.
    """
    for file in files.values():
        for path, literal in literals(file.value):
            target = parse_reference(localise(literal, own))
            if target.relative and target.type in types and f"{target.type}/{target.id}" not in files:
                yield f"{file.path}: {path} points to {literal}, which is not in the content"
