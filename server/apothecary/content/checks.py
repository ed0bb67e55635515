"""What a content folder must be before it is served: every resource valid, and references to nothing pointed out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from apothecary.content.files import ContentFile
from apothecary.errors import BrokenContent
from apothecary.fhir.references import localise, own_literals, parse_reference
from apothecary.validation import ERRORS, validate


def refuse_invalid(files: Iterable[ContentFile]) -> None:
    """Raises ContentError, with the place of the first error and the number of all, for an invalid resource; for
    several, one that has them all.
    """
    faults = []
    for file in files:
        errors = validate(file.value, file.version, options=ERRORS)
        if errors:
            more = f" (and {len(errors) - 1} more; run: apothecary validate {file.path})" if len(errors) > 1 else ""
            faults.append(file.error(errors[0].pointer or (), f"{errors[0].diagnostics}{more}", tuple(errors)))
    if faults:
        raise BrokenContent.of(faults)


def dangling(files: Mapping[str, ContentFile], types: Collection[str], own: Sequence[str] = ()) -> Iterator[str]:
    """A sentence for each reference of a file to a local resource that no file holds; `own` are the addresses of this
    server.
    """
    for file in files.values():
        for path, literal in own_literals(file.value):
            target = parse_reference(localise(literal, own))
            if target.relative and target.type in types and f"{target.type}/{target.id}" not in files:
                yield f"{file.path}: {path} points to {literal}, which is not in the content"
