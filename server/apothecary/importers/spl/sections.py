"""The sections of a Structured Product Label, with their texts as XHTML."""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.content.xml_tree import Node
from apothecary.importers.labels.markup import ID, Markup, identified
from apothecary.importers.labels.record import Section
from apothecary.importers.labels.xhtml import element
from apothecary.importers.spl.tree import Reader, child, children, value_of, words

# Parts of sections deeper than this stand beside what they are part of: the guide allows no more than a few levels.
_DEEPEST = 20

_KNOWN = frozenset({"id", "code", "title", "text", "effectiveTime", "excerpt", "component", "subject"})
_COMPONENTS = frozenset({"section", "observationMedia"})


def roots(document: Node) -> list[Node]:
    """The sections of the body, each as an element."""
    body = child(document, "component", "structuredBody")
    return [section for one in children(body, "component") for section in children(one, "section")]


def everything(node: Node) -> Iterator[Node]:
    """All elements below it. The depth of a tree is limited, so this may recurse."""
    for part in node.content:
        if isinstance(part, Node):
            yield part
            yield from everything(part)


def read(document: Node, reader: Reader) -> list[Section]:
    """The sections, in their order."""
    nodes = list(everything(document))
    images = [one for one in nodes if one.name == "observationMedia"]
    markup = Markup(
        reader.approximated,
        ids=identified(nodes),
        footnotes={known: one for one in nodes if one.name == "footnote" and (known := value_of(one, "ID"))},
        media={known: _media(one) for one in images if (known := value_of(one, "ID"))},
    )
    shown = {value_of(one, "referencedObject") for one in nodes if one.name == "renderMultiMedia"}
    day = value_of(child(document, "effectiveTime"), "value")
    others = {value_of(child(one, "effectiveTime"), "value") for one in nodes if one.name == "section"} - {day, ""}
    if others:
        reader.approximated(document, f"dates of sections other than that of the label are not kept: {len(others)}")
    found = []
    for node in roots(document):
        found += _section(node, reader, markup, shown, 1)
    return found


def _section(node: Node, reader: Reader, markup: Markup, shown: set[str], depth: int) -> list[Section]:
    """The section, and those of its parts that are too deep to stand in it."""
    reader.leftover(node, _KNOWN)
    coding = reader.coding(child(node, "code")) or {}
    title = child(node, "title")
    if coding.get("system") != "http://loinc.org" and coding:
        reader.approximated(node, f"the section's code {coding['code']!r} is none of LOINC: it stands without")
        coding = {}
    made = Section(
        reader.place(node), code=coding.get("code", ""), display=coding.get("display", ""), title=words(title)
    )
    known = value_of(node, "ID")
    if ID.fullmatch(known) and known not in markup.given:
        markup.given.add(known)
        made.id = known
    for text in children(node, "text"):
        made.body += markup.convert(text)
    for excerpt in children(node, "excerpt"):
        for highlight in children(excerpt, "highlight"):
            for text in children(highlight, "text"):
                made.highlight += markup.convert(text)
    beside: list[Section] = []
    for component in children(node, "component"):
        reader.leftover(component, _COMPONENTS)
        for media in children(component, "observationMedia"):
            # What no text shows is shown at the end.
            if value_of(media, "ID") not in shown:
                reader.approximated(media, f"an image stands as its description: {_media(media)}"[:300])
                made.body.append(element("p", [element("em", [f"[Image: {_media(media) or 'not named'}]"])]))
        for part in children(component, "section"):
            inner = _section(part, reader, markup, shown, depth + 1)
            if depth < _DEEPEST:
                made.sections += inner
            else:
                reader.approximated(part, f"a section at level {depth + 1} stands at level {_DEEPEST}")
                beside += inner
    return [made, *beside]


def _media(node: Node) -> str:
    """What an image shows, and its file."""
    file = value_of(child(node, "value", "reference"), "value")
    said = words(child(node, "text"))
    return f"{said} ({file})" if said and file and said != file else said or file
