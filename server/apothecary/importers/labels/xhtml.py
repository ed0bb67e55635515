"""Pieces of narrative, and the plain text and Markdown that they say: https://hl7.org/fhir/R5/narrative.html"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from apothecary.content.xhtml import XHTML, xhtml_text
from apothecary.content.xml_tree import Node

Content = Sequence[Node | str]

BLOCKS = frozenset({"p", "div", "ul", "ol", "li", "table", "caption", "thead", "tbody", "tfoot", "tr", "h4", "hr"})
_RAISED = str.maketrans("0123456789+-=() ,", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ ,")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# A line of text becomes one by what is a block, not by how it was written.
_SPACES = str.maketrans("\t\r\n", "   ")
# What CommonMark reads as markup, in a line and at its beginning: https://spec.commonmark.org/0.31.2/#backslash-escapes
_MARKS = re.compile(r"[\\`*_<\[\]]")
_LINE_MARKS = re.compile(r"(?m)^([#>+=~-]|\d+(?=[.)](?:\s|$)))")


def element(name: str, content: Iterable[Node | str] = (), **attributes: str) -> Node:
    """An XHTML element. A name of an attribute that Python keeps for itself ends with `_`."""
    return Node(XHTML, name, [("", key.rstrip("_"), value) for key, value in attributes.items()], (0, 0), [*content])


def attribute(node: Node, name: str) -> str:
    """The value of an attribute without namespace; empty where there is none."""
    return next((value for space, key, value in node.attributes if key == name and not space), "")


def div(content: Content, language: str) -> str:
    """The div of a Narrative."""
    root = element("div", content)
    root.attributes = [("http://www.w3.org/XML/1998/namespace", "lang", language), ("", "lang", language)]
    return xhtml_text(root)


def says_something(content: Content) -> bool:
    """Whether there is any text."""
    return any(part.strip() if isinstance(part, str) else says_something(part.content) for part in content)


def without_links_inside(content: Content) -> list[Node | str]:
    """A copy in which links to what stands elsewhere in the label are the words alone."""
    found: list[Node | str] = []
    for part in content:
        if isinstance(part, str):
            found.append(part)
            continue
        inner = without_links_inside(part.content)
        if part.name == "a" and attribute(part, "href").startswith("#"):
            found.append(element("span", inner))
        else:
            found.append(Node(part.namespace, part.name, part.attributes, part.place, inner))
    return found


def plain(content: Content) -> str:
    """The text: a block a line, an item of a list behind a hyphen, the cells of a row with bars between them."""
    return "\n".join(line for line in map(_tidy, "".join(_words(content)).split("\n")) if line)


def markdown(content: Content) -> str:
    """The same as Markdown that shows just these words."""
    lines = []
    for line in plain(content).split("\n"):
        escaped = _MARKS.sub(r"\\\g<0>", line)
        bullet, rest = ("- ", escaped[2:]) if escaped.startswith("- ") else ("", escaped)
        lines.append(bullet + _LINE_MARKS.sub(_escaped, rest, count=1))
    return "\n\n".join(lines)


def raised(text: str) -> str:
    """Superscript as plain text: ten to the power of six is 10⁶, and never 106."""
    if not any(one.isdigit() for one in text) or text.startswith("["):
        return text
    return text.translate(_RAISED) if all(ord(one) in _RAISED for one in text) else f"^({text})"


def lowered(text: str) -> str:
    """Subscript as plain text."""
    return text.translate(_LOWERED)


def _escaped(found: re.Match[str]) -> str:
    # A number at the beginning of a line is an item where a point follows: the point is what is escaped.
    return f"{found[1]}\\" if found[1].isdigit() else f"\\{found[1]}"


def _words(content: Content) -> Iterator[str]:
    for part in content:
        if isinstance(part, str):
            yield part.translate(_SPACES)
        elif part.name == "br":
            yield "\n"
        elif part.name == "sup":
            yield raised("".join(_words(part.content)))
        elif part.name == "sub":
            yield lowered("".join(_words(part.content)))
        elif part.name in ("td", "th"):
            yield " ".join("".join(_words(part.content)).split())
            yield " | "
        elif part.name in BLOCKS:
            yield "\n- " if part.name == "li" else "\n"
            # What stands first in an item stands on its line.
            inner = "".join(_words(part.content))
            yield inner.lstrip("\n") if part.name == "li" else inner
            yield "\n"
        else:
            yield from _words(part.content)


def _tidy(line: str) -> str:
    found = " ".join(line.split())
    return "" if not found.strip("|- ") else found.removesuffix(" |")
