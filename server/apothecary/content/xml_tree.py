"""XML text -> a tree of nodes with positions: https://hl7.org/fhir/R5/xml.html#security

Document type declarations are refused, so that no entity can exist; depth is limited; processing instructions and
comments are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from apothecary.fhir.json import MAX_DEPTH

# Between namespace and name, as expat reports them; a space can be part of neither.
_SEPARATOR = " "


@dataclass(slots=True)
class Node:
    """An element.

    `attributes` are (namespace, name, value); `content` holds text and child elements as they alternate.
    """

    namespace: str
    name: str
    attributes: list[tuple[str, str, str]]
    place: tuple[int, int]
    content: list[Node | str] = field(default_factory=list)


class Unreadable(Exception):
    """The text is not XML that FHIR allows: a reading rule, a sentence, a place, and what to do."""

    def __init__(self, rule: str, message: str, place: tuple[int, int], remedy: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.place = place
        self.remedy = remedy


def parse_xml(text: str) -> Node:
    """The root of the document that `text` writes. Raises Unreadable."""
    return _Builder().build(text)


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.open: list[Node] = []
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.doctype

    def build(self, text: str) -> Node:
        try:
            # The text is Unicode already, whatever encoding its declaration claims: given a str, the parser knows.
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            place = (error.lineno, error.offset + 1)
            said = f"The text is not well-formed XML: {expat.ErrorString(error.code)}."
            raise Unreadable("xml-syntax", said, place) from None
        if self.root is None:
            raise Unreadable("xml-syntax", "The document has no element.", (1, 1))
        return self.root

    def place(self) -> tuple[int, int]:
        return self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1

    def doctype(self, name: str, system: str | None, public: str | None, has_internal_subset: bool) -> None:
        said = "The document has a document type declaration."
        raise Unreadable("xml-doctype", said, self.place(), "Remove it: FHIR XML has neither DTDs nor entities.")

    def start(self, tag: str, attributes: list[str]) -> None:
        if len(self.open) == MAX_DEPTH:
            said = f"The document is nested deeper than {MAX_DEPTH} levels."
            raise Unreadable("too-deep", said, self.place())
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        node = Node(*_split(tag), [(*_split(name), value) for name, value in pairs], self.place())
        if self.open:
            self.open[-1].content.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, tag: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        self.open[-1].content.append(text)


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition(_SEPARATOR)
    return namespace, local
