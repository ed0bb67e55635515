"""The text markup of Structured Product Labels as XHTML that narratives may hold, with nothing lost: what has no such
form is put in another one, which is told. https://hl7.org/fhir/R5/narrative.html#xhtml and "Section text" in the
implementation guide for SPL, https://www.fda.gov/industry/fda-data-standards-advisory-board/structured-product-labeling-resources
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from apothecary.content.xml_tree import Node
from apothecary.importers.labels.xhtml import BLOCKS, attribute, element

Content = list[Node | str]

# What is the same in both, and the attributes that both know: a value of them names nothing, and runs nothing.
_SAME = frozenset({"br", "sub", "sup", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "col", "colgroup"})
_KEPT = frozenset(
    {
        *("align", "valign", "char", "charoff", "width", "span", "colspan", "rowspan", "headers", "scope", "abbr"),
        *("axis", "border", "frame", "rules", "cellpadding", "cellspacing", "summary"),
    }
)
_MOST_IDS = 2000
# A single space is left as it is: most are.
_SPACE = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")
_PLAIN = re.compile(r"[\w .,%*+-]{1,200}")
# The styles of SPL that a narrative has an element for, and how others look; what is in neither becomes a class.
_STYLES = {"bold": "b", "italics": "i", "italic": "i", "underline": "u", "emphasis": "em"}
_LOOKS = {
    "bold": "font-weight: bold",
    "italics": "font-style: italic",
    "italic": "font-style: italic",
    "emphasis": "font-style: italic",
    "underline": "text-decoration: underline",
    "toprule": "border-top: 1px solid",
    "botrule": "border-bottom: 1px solid",
    "lrule": "border-left: 1px solid",
    "rrule": "border-right: 1px solid",
}
_NUMBERING = {
    "littlealpha": "a", "bigalpha": "A", "littleroman": "i", "bigroman": "I", "arabic": "1",
}  # fmt: skip
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")
_SAFE_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s\"<>]+", re.IGNORECASE)
# https://www.w3.org/TR/xml-names/#NT-NCName, without what links would have to escape.
ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,120}")

Tell = Callable[[Node, str], None]


@dataclass(slots=True)
class Markup:
    """What is known of a label while its texts become XHTML. `tell` hears what is approximated. `ids` are those that
    links may lead to; each is given away once. `footnotes` and `media` are found by their ids.
    """

    tell: Tell
    ids: set[str] = field(default_factory=set)
    footnotes: Mapping[str, Node] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    _notes: list[tuple[Node, str]] = field(default_factory=list)

    def convert(self, text: Node) -> Content:
        """The content of a `text` element; its footnotes are numbered, and stand at its end."""
        self._notes = []
        found = self._parts(text)
        # A footnote may have a footnote: the list grows while it is read.
        number = 0
        while number < len(self._notes):
            note = self._notes[number][0]
            number += 1
            mark = element("sup", [f"[{number}]"])
            found.append(self._block(self._parts(note), [mark, " "]))
        return found

    def _parts(self, node: Node) -> Content:
        found: Content = []
        for part in node.content:
            if isinstance(part, str):
                found.append(_SPACE.sub(" ", part))
            else:
                found += self._element(part)
        return found

    def _element(self, node: Node) -> Content:
        name = node.name
        if name in _SAME:
            return [self._marked(element(name, self._parts(node)), node, kept=True)]
        made = _SPECIAL.get(name)
        if made is not None:
            return made(self, node)
        self.tell(node, f"the element {name} is read as a piece of text")
        return [self._marked(element("span", self._parts(node)), node)]

    def _paragraph(self, node: Node) -> Content:
        caption, rest = self._captioned(node)
        return [self._marked(self._block(rest, [*caption, " "] if caption else []), node)]

    def _content(self, node: Node) -> Content:
        made = self._marked(element("span", self._parts(node)), node)
        # A style alone needs no element around its own.
        return made.content if _styles(node) and not made.attributes else [made]

    def _list(self, node: Node) -> Content:
        caption, rest = self._captioned(node)
        ordered = attribute(node, "listType").lower() == "ordered"
        made = element("ol" if ordered else "ul", rest)
        numbering = next((_NUMBERING[one] for one in _styles(node) if one in _NUMBERING), None)
        if ordered and numbering:
            made.attributes.append(("", "type", numbering))
        return [*([element("p", caption)] if caption else []), self._marked(made, node)]

    def _item(self, node: Node) -> Content:
        # The caption of an item is what stands for its bullet.
        caption, rest = self._captioned(node)
        return [self._marked(element("li", [*caption, " ", *rest] if caption else rest), node)]

    def _captioned(self, node: Node) -> tuple[Content, Content]:
        """The caption of `node`, and what else it holds."""
        caption: Content = []
        rest: Content = []
        for part in node.content:
            if isinstance(part, str):
                rest.append(_SPACE.sub(" ", part))
            elif part.name == "caption":
                caption.append(self._marked(element("b", self._parts(part)), part))
            else:
                rest += self._element(part)
        return caption, rest

    def _caption(self, node: Node) -> Content:
        return [self._marked(element("caption", self._parts(node)), node)]

    def _link(self, node: Node) -> Content:
        words = self._parts(node)
        address = attribute(node, "href").strip()
        if address.startswith("#"):
            found = address[1:] if address[1:] in self.ids else self._otherwise_written(address[1:], node)
            if found:
                return [element("a", words, href=f"#{found}")]
        if _SAFE_LINK.fullmatch(address):
            return [element("a", words, href=address)]
        self.tell(node, f"the link to {address[:200]!r} leads nowhere here: its words stand without it")
        return [element("span", words)]

    def _otherwise_written(self, known: str, node: Node) -> str:
        """The one id that is the same but for its case; empty where there is none."""
        found = [one for one in self.ids if one.lower() == known.lower()] if len(self.ids) <= _MOST_IDS else []
        if len(found) != 1:
            return ""
        self.tell(node, f"the link to #{known} leads to #{found[0]}")
        return found[0]

    def _footnote(self, node: Node) -> Content:
        return [self._noted(node, attribute(node, "ID"))]

    def _footnote_reference(self, node: Node) -> Content:
        known = attribute(node, "IDREF")
        note = self.footnotes.get(known)
        if note is None:
            self.tell(node, f"the footnote {known!r} is not there: a question mark stands for it")
            return [element("sup", ["[?]"])]
        return [self._noted(note, known)]

    def _noted(self, note: Node, known: str) -> Node:
        same = (at for at, (one, key) in enumerate(self._notes) if one is note or (known and key == known))
        number = next(same, len(self._notes))
        if number == len(self._notes):
            self._notes.append((note, known))
        return element("sup", [f"[{number + 1}]"])

    def _image(self, node: Node) -> Content:
        named = attribute(node, "referencedObject")
        said = self.media.get(named)
        self.tell(node, f"an image stands as its description: {said or named}"[:300])
        words = element("em", [f"[Image: {said or named or 'not named'}]"])
        return [self._marked(element("span", [words, *self._captioned(node)[0]]), node)]

    def _block(self, content: Content, before: Content) -> Node:
        """A paragraph, or a division where it holds what a paragraph may not."""
        holds = any(isinstance(part, Node) and _has_block(part) for part in content)
        return element("div" if holds else "p", [*before, *content])

    def _marked(self, made: Node, node: Node, *, kept: bool = False) -> Node:
        """`made` with the styles, the id and, if it is `kept` as it is, the attributes of `node`."""
        classes, looks = [], []
        inner = made
        for style in _styles(node):
            if style in _STYLES and made.name == "span":
                inner.content = [wrapped := element(_STYLES[style], inner.content)]
                inner = wrapped
            elif style in _LOOKS:
                looks.append(_LOOKS[style])
            elif style not in _NUMBERING and _CLASS.fullmatch(style):
                classes.append(style)
        if looks:
            made.attributes.append(("", "style", "; ".join(dict.fromkeys(looks))))
        if kept:
            made.attributes += [
                one for one in node.attributes if one[1] in _KEPT and not one[0] and _PLAIN.fullmatch(one[2])
            ]
        if classes:
            made.attributes.append(("", "class", " ".join(dict.fromkeys(classes))))
        known = attribute(node, "ID")
        if known in self.ids and known not in self.given:
            self.given.add(known)
            made.attributes.append(("", "id", known))
        return made


def _styles(node: Node) -> list[str]:
    # Old labels write `stylecode`. Case tells no styles apart.
    return (attribute(node, "styleCode") or attribute(node, "stylecode")).lower().split()


def _has_block(node: Node) -> bool:
    return node.name in BLOCKS or any(isinstance(part, Node) and _has_block(part) for part in node.content)


_SPECIAL: Mapping[str, Callable[[Markup, Node], Content]] = {
    "paragraph": Markup._paragraph,
    "content": Markup._content,
    "list": Markup._list,
    "item": Markup._item,
    "caption": Markup._caption,
    "linkHtml": Markup._link,
    "footnote": Markup._footnote,
    "footnoteRef": Markup._footnote_reference,
    "renderMultiMedia": Markup._image,
}


def identified(nodes: Iterable[Node]) -> set[str]:
    """The ids of elements that links may lead to."""
    return {known for one in nodes if ID.fullmatch(known := attribute(one, "ID"))}
