"""What a server writes into a resource when it stores it: https://hl7.org/fhir/R5/resource.html#Meta"""

from __future__ import annotations

from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.temporal import instant


def stamp(resource: JSON, resource_id: str, version: int, updated: int) -> bytes:
    """The JSON text to store: `resource` with its id, `meta.versionId` and `meta.lastUpdated` set.

    Everything else keeps its place and its literals; the id and the meta come first where the resource had none.
    """
    meta = {"versionId": str(version), "lastUpdated": instant(updated)}
    known = {key: value for key, value in resource.get("meta", {}).items() if key not in meta}
    result: JSON = {"resourceType": resource["resourceType"], "id": resource_id, "meta": meta | known}
    if "meta" in resource:
        # Where the resource has a place for its meta, that place is kept.
        result.pop("meta")
    for key, value in resource.items():
        if key == "meta":
            result["meta"] = meta | known
        elif key not in ("resourceType", "id"):
            result[key] = value
    return dumps(result)
