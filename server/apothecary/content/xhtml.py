"""A narrative's element as the text that JSON holds: https://hl7.org/fhir/R5/narrative.html#xhtml

Prefixes are resolved into one default namespace, so that the text stands on its own outside of the XML document it
was cut from.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint

from apothecary.content.xml_tree import Node, Unreadable, parse_xml

XHTML = "http://www.w3.org/1999/xhtml"
_XML = "http://www.w3.org/XML/1998/namespace"
# A narrative may name HTML's characters; XML without a document type knows only five of the names.
_NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]*);")
# The elements that are empty by definition; any other is closed by an end tag, as HTML readers expect.
_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "param"})


def xhtml_text(node: Node, parent_namespace: str = "") -> str:
    """`node` with all its content, as XML. A namespace is declared where it changes."""
    declared = f' xmlns="{_quoted(node.namespace)}"' if node.namespace != parent_namespace else ""
    written = "".join(
        f' {"xml:" if namespace == _XML else ""}{name}="{_quoted(value)}"' for namespace, name, value in node.attributes
    )
    start = f"<{node.name}{declared}{written}"
    if not node.content and node.name in _VOID:
        return f"{start}/>"
    inner = "".join(
        _escaped(part) if isinstance(part, str) else xhtml_text(part, node.namespace) for part in node.content
    )
    return f"{start}>{inner}</{node.name}>"


def _escaped(text: str) -> str:
    # A ">" may stand as it is, except where it would look like the end of a CDATA section.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;").replace("\r", "&#13;")


def numbered(div: str) -> str:
    """`div` with HTML's named characters by their numbers, which XML knows, too."""
    return _NAMED.sub(lambda found: f"&#{name2codepoint[found[1]]};" if found[1] in name2codepoint else found[0], div)


def canonical_xhtml(div: str) -> str:
    """A narrative's element in one way of writing, the same for texts that mean the same; itself where it is no XML."""
    try:
        return xhtml_text(parse_xml(numbered(div)))
    except Unreadable:
        return div
