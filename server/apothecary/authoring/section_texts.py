"""What the text of a Composition section shows: its entries with all that their resources say, or why it is empty.

So the monograph can be read by itself, and in releases that have no type for its entries.
https://hl7.org/fhir/R5/composition-definitions.html#Composition.section.text
"""

from __future__ import annotations

from html import escape

from apothecary.authoring.rows import DESCRIBE, Library, Resource, describe
from apothecary.authoring.say import concept_text

# What an entry leaves to its own resource, or to another section of the monograph.
_LEFT_OUT = frozenset(
    {
        *(
            "Associated medication",
            "Author",
            "Concerns",
            "Intended jurisdiction",
            "Monograph",
            "Not from the source alone",
        ),
        *("Source claims", "Status", "Subject", "Type"),
        *("Uses (with regulatory status)", "Limitations, warnings and other issues"),
    }
)


def section_body(section: Resource, library: Library) -> str | None:
    """The XHTML of a Composition section from its entries or its reason for being empty; None if it is authored."""
    if "emptyReason" in section:
        return f"<p>{escape(concept_text(section['emptyReason']))}</p>"
    if "entry" in section:
        return f"<div><ul>{''.join(_entry(reference, library) for reference in section['entry'])}</ul></div>"
    return None


def _entry(reference: Resource, library: Library) -> str:
    """One entry as a list item: its name, and below it what its resource says."""
    target = library.get(reference)
    rows = describe(target, library)[2] if target is not None and target["resourceType"] in DESCRIBE else []
    said = [
        f"<li>{escape(label)}: {value}</li>"
        for label, value in rows
        if label not in _LEFT_OUT and not label.startswith("Content ")
    ]
    return f"<li>{escape(library.name(reference))}{f'<ul>{chr(32).join(said)}</ul>' if said else ''}</li>"
