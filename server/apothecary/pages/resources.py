"""The page of a resource, whatever its type: its narrative, its elements, what the validator finds."""

from __future__ import annotations

from apothecary.errors import Issue
from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.fitting import fitting, width
from apothecary.pages.render import narrative
from apothecary.pages.titles import meta_of, status_of, title_of
from apothecary.pages.tree import Tree
from apothecary.pages.view import View
from apothecary.validation import validate

# More findings than a person reads are counted.
FINDINGS = 50
# And so many characters of a page its narrative and its findings have at most.
NARRATIVE, ALL_FINDINGS = 24_000, 10_000


def resource_page(view: View, resource: JSON) -> bytes:
    """A resource that was read, or the answer of an operation."""
    kind, identity = str(resource.get("resourceType", "")), resource.get("id")
    stored = identity is not None and view.path.startswith(f"{kind}/{identity}") and "$" not in view.path
    tree = Tree(view, {name: value for name, value in resource.items() if name != "text"})
    elements = tree.html()
    text = resource.get("text")
    told, narrative_cut = narrative(text.get("div") if isinstance(text, dict) else None, NARRATIVE)
    found = [one for one in validate(resource, view.version) if one.severity != "information"] if stored else []
    shown_findings, _ = fitting(found[:FINDINGS], _finding, ALL_FINDINGS, lambda one: width(*one) + 60)
    return shown(
        "resource.html",
        view,
        title_of(resource),
        kind=kind,
        identity=identity,
        stored=stored,
        status=status_of(resource),
        narrative=told,
        narrative_cut=narrative_cut,
        whole=view.whole,
        elements=elements,
        cut=tree.cut,
        meanings=tree.meanings,
        findings=shown_findings,
        more_findings=len(found) - len(shown_findings),
        version_id=meta_of(resource).get("versionId"),
        updated=meta_of(resource).get("lastUpdated"),
    )


def _finding(issue: Issue) -> tuple[str, str, str]:
    """How bad it is, what is wrong, and where."""
    return issue.severity, issue.diagnostics[:1000], issue.expression[0][:300] if issue.expression else ""
