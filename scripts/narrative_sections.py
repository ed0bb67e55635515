"""What the text of a Composition section shows: its entries with what their resources say, or why it is empty.

https://hl7.org/fhir/R5/composition-definitions.html#Composition.section.text
"""

from __future__ import annotations

from html import escape

from scripts.narrative_rows import DESCRIBE, Library, Resource, describe

# What an entry of a Composition leaves to its own resource: codes, links back, and what other sections say.
_LEFT_OUT = (
    "Codes (from terminologies)",
    "Concerns",
    "Knowledge",
    "Limitations of use",
    "Monograph",
    "Source claims",
    "Subject",
)


def section_body(section: Resource, library: Library) -> str | None:
    """The XHTML of a Composition section from its entries or its reason for being empty; None if it is authored."""
    if "emptyReason" in section:
        return f"<p>{escape(section['emptyReason']['text'])}</p>"
    if "entry" in section:
        return f"<div><ul>{''.join(_entry(reference, library) for reference in section['entry'])}</ul></div>"
    return None


def _entry(reference: Resource, library: Library) -> str:
    """One entry of a section as a list item: its name, and below it what its resource says."""
    target = library.get(reference)
    rows = describe(target, library)[2] if target is not None and target["resourceType"] in DESCRIBE else []
    said = [
        f"<li>{escape(label)}: {value}</li>"
        for label, value in rows
        if label not in _LEFT_OUT and not label.startswith(("Content ", "Uses "))
    ]
    return f"<li>{escape(library.name(reference))}{'<ul>' + ''.join(said) + '</ul>' if said else ''}</li>"
