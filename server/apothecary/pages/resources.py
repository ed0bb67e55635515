"""The page of a resource, whatever its type: its narrative, its elements, what the validator finds."""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.titles import status_of, title_of
from apothecary.pages.tree import Tree
from apothecary.pages.view import View
from apothecary.validation import validate

# More findings than a person reads are counted.
FINDINGS = 50


def resource_page(view: View, resource: JSON) -> bytes:
    """A resource that was read, or the answer of an operation."""
    kind, identity = str(resource.get("resourceType", "")), resource.get("id")
    stored = identity is not None and view.path.startswith(f"{kind}/{identity}") and "$" not in view.path
    tree = Tree(view, {name: value for name, value in resource.items() if name != "text"})
    elements = tree.html()
    text = resource.get("text")
    found = [one for one in validate(resource, view.version) if one.severity != "information"] if stored else []
    return shown(
        "resource.html",
        view,
        title_of(resource),
        kind=kind,
        identity=identity,
        stored=stored,
        status=status_of(resource),
        narrative=text.get("div") if isinstance(text, dict) else None,
        elements=elements,
        cut=tree.cut,
        findings=found[:FINDINGS],
        more_findings=max(0, len(found) - FINDINGS),
        version_id=(resource.get("meta") or {}).get("versionId"),
        updated=(resource.get("meta") or {}).get("lastUpdated"),
    )
