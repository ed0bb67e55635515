"""Narrative: one safe, well-formed, non-empty XHTML div (https://hl7.org/fhir/R5/narrative.html)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from apothecary.fhir.caches import short_cache
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE, Rule
from apothecary.validation.run import At, Run

XHTML = "http://www.w3.org/1999/xhtml"

# The XPath of txt-1 in the R4 definitions, and elements of https://hl7.org/fhir/R5/narrative.html#xhtml that it forgot.
ELEMENTS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
        "address",
        "area",
        "bdo",
        "del",
        "ins",
        "kbd",
        "map",
        "s",
        "u",
    ]
)
ATTRIBUTES = frozenset(
    [
        "abbr",
        "accesskey",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "colspan",
        "compact",
        "coords",
        "dir",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "hspace",
        "id",
        "lang",
        "longdesc",
        "name",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
        "color",
        "datetime",
        "usemap",
        "xml:lang",
        "xml:space",
    ]
)
_LINKS = frozenset({"href", "src", "cite", "longdesc"})
_SCRIPTS = ("javascript:", "vbscript:", "data:text/html")

EXTERNAL = "narrative-external"
# What a style fetches: an address in url(), src() or image-set(), or behind @import.
_FETCHED = re.compile(r"""(?:(?:url|src|image-set|image)\(|@import)\s*["']?\s*([^"')\s]*)""")
_RUNNING = re.compile(r"expression\(|javascript:|vbscript:|-moz-binding|behavior:")
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)", re.DOTALL)

TXT_1 = "txt-1"
TXT_2 = "txt-2"


class _Unsafe(Exception):
    """The parser met something that narrative never has."""


class _Reader:
    """Reads one div and notes what is wrong with it."""

    def __init__(self) -> None:
        self.defects: list[tuple[str, str]] = []
        self.depth = 0
        self.content = False
        # What links of the form `#id` name, and the ids that stand in the div itself.
        self.links: dict[str, None] = {}
        self.ids: set[str] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if self.depth == 0 and (local != "div" or namespace != XHTML):
            self.defects.append(("narrative-xhtml", f"has the root {local}, not a div in the namespace {XHTML}"))
        elif namespace != XHTML or local not in ELEMENTS:
            self.defects.append((TXT_1, f"has the element {shown(local)}, which narrative may not have"))
        self.depth += 1
        for key, value in attributes.items():
            attribute = key.replace("http://www.w3.org/XML/1998/namespace ", "xml:")
            if attribute not in ATTRIBUTES:
                self.defects.append((TXT_1, f"has the attribute {shown(attribute)}, which narrative may not have"))
            elif attribute in _LINKS and _address(value).startswith(_SCRIPTS):
                self.defects.append((TXT_1, f"has a link that runs a script in {attribute}"))
            elif attribute == "src" and _is_external(value):
                self.defects.append((EXTERNAL, "shows an image from another server"))
            elif attribute == "style":
                self._style(_plain_style(value))
            if attribute in ("id", "name"):
                self.ids.add(value)
            elif attribute in ("href", "src") and value[:1] == "#":
                self.links.setdefault(value[1:])
        if local == "img" and "src" in attributes:
            self.content = True

    def _style(self, style: str) -> None:
        """https://www.w3.org/TR/css-values-4/#urls; the others are what older browsers ran."""
        if _RUNNING.search(style):
            self.defects.append((TXT_1, "has a style that runs a script"))
        elif any(_is_external(address) for address in _FETCHED.findall(style)):
            self.defects.append((EXTERNAL, "has a style that fetches something from another server"))

    def end(self, name: str) -> None:
        self.depth -= 1

    def text(self, data: str) -> None:
        if not self.content and data.strip():
            self.content = True

    def doctype(self, *_: Any) -> None:
        raise _Unsafe("has a DOCTYPE, which narrative may not have")

    def declaration(self, *_: Any) -> None:
        raise _Unsafe("has an XML declaration, but is a part of a document")

    def instruction(self, target: str, data: str) -> None:
        self.defects.append(("narrative-xhtml", f"has the processing instruction {shown(target)}"))

    def entity(self, name: str, is_parameter: bool) -> None:
        from html.entities import html5

        character = html5.get(f"{name};")
        instead = f": write &#{ord(character)}; or the character" if character and len(character) == 1 else ""
        raise _Unsafe(f"has the entity &{name};, which XML does not know{instead}")


def defects(div: str) -> tuple[tuple[str, str], ...]:
    """What is wrong with a div: the rule's id and a text for each."""
    return _read(div)[0]


@short_cache(512, longest=20_000)
def _read(div: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What is wrong with a div, and the ids that its links name but that are not in it."""
    reader = _Reader()
    found = tuple(dict.fromkeys(_defects(div, reader)))
    return found, tuple(name for name in reader.links if name and name not in reader.ids)


def _defects(div: str, reader: _Reader) -> list[tuple[str, str]]:
    parser = expat.ParserCreate(namespace_separator=" ")
    # Without the DTD of XHTML, which a div cannot have, only the five entities of XML are known: expat leaves all
    # others to us.
    parser.UseForeignDTD(True)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.XmlDeclHandler = reader.declaration
    parser.ProcessingInstructionHandler = reader.instruction
    parser.SkippedEntityHandler = reader.entity
    try:
        parser.Parse(div, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "a mistake")
        text = f"is not well-formed XHTML: {reason} at line {error.lineno}, column {error.offset + 1}"
        return [*reader.defects, ("narrative-xhtml", text)]
    except _Unsafe as error:
        return [*reader.defects, ("narrative-xhtml", str(error))]
    except UnicodeEncodeError:
        return [("not-unicode", "has half of a surrogate pair")]
    if not reader.content:
        reader.defects.append((TXT_2, "has neither text nor an image"))
    return reader.defects


def check_narrative(value: Any, at: At, key: str, index: int | None, depth: int, run: Run) -> None:
    """Check the div of a Narrative."""
    if not isinstance(value, str):
        run.report(BASE["wrong-type"], at, f"is {shown(value)}, but must be a string with XHTML", key=key, index=index)
        return
    if not value.strip():
        run.report(BASE["empty-string"], at, "is an empty string", key=key, index=index)
        return
    found, links = _read(value)
    for rule_id, text in found:
        run.report(BASE.get(rule_id) or _TXT[rule_id], at, text, key=key, index=index)
    if links:
        run.alone = False
        known = _ids(run.resource)
        for name in links:
            if name not in known and unquote(name) not in known:
                run.report(BASE["narrative-link"], at, f"links to {shown('#' + name)}, which is not there", key=key)


def _ids(resource: Any) -> set[str]:
    """The ids of all elements of a resource and of what it contains."""
    found: set[str] = set()
    waiting = [resource]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("id"), str):
                found.add(one["id"])
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _address(link: str) -> str:
    # Browsers ignore white space and control characters in front of and inside the scheme.
    return "".join(character for character in link if character > " ").lower()


def _is_external(address: str) -> bool:
    """Whether a browser would ask another server for it: not what is in the resource, nor an address beside it."""
    return _address(address).startswith(("http:", "https:", "ftp:", "//", "\\\\", "/\\"))


def _plain_style(style: str) -> str:
    """A style without comments and escapes, in lower case, as a browser understands it."""

    def character(match: re.Match[str]) -> str:
        number = int(match[1] or "0", 16)
        return match[2] or (chr(number) if 0 < number < 0x110000 else "\ufffd")

    return _ESCAPE.sub(character, _COMMENT.sub("", style.lower())).lower()


_TXT = {
    TXT_1: Rule(
        TXT_1,
        "error",
        "invariant",
        "The narrative holds only the elements and attributes of basic XHTML formatting, and nothing that runs.",
        "A narrative is shown to people as it is: https://hl7.org/fhir/R5/narrative.html#security.",
        '{"div": "<div xmlns=...><script>...</script></div>"}',
        "Remove the element or attribute.",
    ),
    TXT_2: Rule(
        TXT_2,
        "error",
        "invariant",
        "The narrative has some text or an image.",
        "https://hl7.org/fhir/R5/narrative.html",
        '{"div": "<div xmlns=...> </div>"}',
        "Write the text, or leave the narrative out.",
    ),
}
