"""What tells a client which files there are.

An export's is that of Bulk Data Access 2.0.0, with what 3.0.0 adds to it
(https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status and
https://hl7.org/fhir/uv/bulkdata/STU3/en/export.html#response---output-manifest); a publication's that of 4.0.0-ballot
(https://hl7.org/fhir/uv/bulkdata/4.0.0-202609-ballot/en/StructureDefinition-BulkPublishManifest.html).
"""

from __future__ import annotations

from apothecary.bulk.job import File, Job
from apothecary.fhir.json import JSON
from apothecary.fhir.temporal import instant

FORMAT = "application/fhir+ndjson"
PUBLISHED = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkPublishManifest"

# Where the client allows it, a manifest has so many files, and a link to the next.
PAGE = 50


def exported(job: Job, address: str, page: int | None = None) -> JSON:
    """The manifest of an export, whose own address is given; with `page`, counted from 1, of some of its files."""
    files = [(number, one) for number, one in enumerate(job.files) if one.place >= 0]
    more = False
    if page is not None:
        some = range((page - 1) * PAGE, page * PAGE)
        more = len(files) > page * PAGE
        files = sorted((one for one in files if one[1].place in some), key=lambda one: one[1].place)
    manifest: JSON = {
        "transactionTime": instant(job.moment),
        "request": job.request,
        "requiresAccessToken": bool(job.owner),
        "outputFormat": FORMAT,
    }
    for kind in ("output", "deleted", "error"):
        manifest[kind] = [_item(one, f"{address}/{number}.ndjson") for number, one in files if one.kind == kind]
    if more:
        manifest["link"] = [{"relation": "next", "url": f"{address}?page={(page or 1) + 1}"}]
    return manifest


def published(job: Job, address: str, seconds: int | None = None, *, protected: bool = False) -> JSON:
    """The manifest of an edition; `seconds` is how often there is a new one, where that is known. Its files are
    `protected` where clients have to say who they are.
    """
    manifest: JSON = {
        "manifestType": PUBLISHED,
        # That of the newest change: nothing was written between it and the moment of the edition.
        "transactionTime": instant(job.newest),
        **({} if seconds is None else {"updateCadence": f"PT{seconds}S"}),
        "requiresAccessToken": protected,
        "outputFormat": FORMAT,
    }
    for kind, name in (("output", "output"), ("deleted", "deleted"), ("error", "outcome")):
        manifest[name] = [
            _item(one, f"{address}/{one.key}.ndjson", typed=kind == "output") for one in job.files if one.kind == kind
        ]
    return manifest


def _item(file: File, url: str, *, typed: bool = True) -> JSON:
    said: JSON = {"type": file.type} if typed else {}
    return said | {"url": url, "count": file.count, "fileSize": file.size}
