"""The narrative of a resource, from the resource: it says nothing that the resource, or one that it refers to, does not
say, and the same resources always give the same narrative. https://hl7.org/fhir/R5/narrative.html
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from apothecary.authoring.monograph import div
from apothecary.authoring.rows import DESCRIBE, Library, Resource, describe
from apothecary.authoring.section_texts import section_body


def narrative(resource: Resource, library: Library) -> dict[str, str]:
    """The Narrative of `resource`; its status is `extensions` as soon as it shows what an extension holds."""
    title, notes, rows = describe(resource, library)
    body = f"<p><b>{escape(title)}</b></p>" + "".join(f"<p>{escape(note)}</p>" for note in notes)
    if rows:
        cells = "".join(f"<tr><th>{escape(label)}</th><td>{value}</td></tr>" for label, value in rows)
        body += f"<table><tbody>{cells}</tbody></table>"
    status = "extensions" if any(True for _ in _extensions(resource)) else "generated"
    return {"status": status, "div": div(body, resource.get("language", "en"))}


def _extensions(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.get("extension", [])
        for key, child in node.items():
            if key not in ("text", "extension"):
                yield from _extensions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _extensions(child)


def with_narrative(resource: Resource, library: Library) -> Resource:
    """A copy of `resource` with `text`, and with the text of each Composition section that has entries or is empty.

    A resource of a type that `DESCRIBE` does not know keeps the narrative it has.
    """
    if resource["resourceType"] not in DESCRIBE:
        return resource
    before = ("resourceType", "id", "meta", "implicitRules", "language")
    head = {key: resource[key] for key in before if key in resource}
    rest = {key: value for key, value in resource.items() if key not in before and key != "text"}
    if resource["resourceType"] == "Composition":
        language = resource.get("language", "en")
        rest["section"] = [_section(section, library, language) for section in rest.get("section", ())]
    return {**head, "text": narrative({**head, **rest}, library), **rest}


def _section(section: Resource, library: Library, language: str) -> Resource:
    body = section_body(section, library)
    if body is None:  # an authored text: the only place where prose is content
        return section
    text = {"status": "generated", "div": div(body, language)}
    before = ("extension", "title", "code", "author", "focus")
    head = {key: section[key] for key in before if key in section}
    return {**head, "text": text, **{key: value for key, value in section.items() if key not in (*before, "text")}}
