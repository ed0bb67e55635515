"""Large XML files, record by record: https://www.w3.org/TR/xml/ with no document type declaration, as XML of FHIR is.

A catalogue is one document of some hundred million bytes that holds the same small element again and again. Only one of
these is in memory at a time, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

from apothecary.importers.sources import Torn

_BLOCK = 64 * 1024
# What one record, or one tag, may have: the largest records known have some thousand elements.
_MOST_TEXT = 4 * 1024 * 1024
_MOST_ELEMENTS = 50_000
_DEEPEST = 40


class Element:
    """An element: its name without a namespace, its text without white space around it, the elements in it, and the
    line it starts in. `above` names the elements it stands in, from the root.
    """

    __slots__ = ("above", "children", "line", "name", "text")

    def __init__(self, name: str, line: int, above: tuple[str, ...] = ()) -> None:
        self.name = name
        self.line = line
        self.above = above
        self.text = ""
        self.children: list[Element] = []


def records(stream: BinaryIO, depth: Callable[[str], int]) -> Iterator[Element]:
    """The elements that stand `depth(root)` levels below the root, one after the other; of what stands outside them
    only the names are told.

    Raises Torn, with the line, where the text is not well-formed, has a document type declaration, or a record that is
    too large; what was read before has been given by then.
    """
    reader = _Reader(depth)
    fed = 0
    while True:
        block = stream.read(_BLOCK)
        try:
            reader.parser.Parse(block, not block)
        except expat.ExpatError as error:
            reader.torn = Torn(f"line {error.lineno} is not well-formed XML: {expat.ErrorString(error.code)}")
        except (ValueError, LookupError) as error:  # an encoding that nobody knows, or that the parser cannot use
            reader.torn = Torn(f"cannot be read: {error}")
        except Torn as error:
            reader.torn = error
        yield from reader.taken()
        if reader.torn is not None:
            raise reader.torn
        if not block:
            return
        fed += len(block)
        # The parser holds a tag until it ends.
        if fed - max(reader.parser.CurrentByteIndex, 0) > _MOST_TEXT:
            raise Torn(f"line {reader.parser.CurrentLineNumber} has a tag of more than {_MOST_TEXT} bytes")


class _Reader:
    def __init__(self, depth: Callable[[str], int]) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.torn: Torn | None = None
        self._depth = depth
        self._wanted = 0
        self._above: list[str] = []
        self._open: list[Element] = []
        self._done: list[Element] = []
        self._elements = 0
        self._length = 0

    def taken(self) -> Iterator[Element]:
        """What is finished, once."""
        done, self._done = self._done, []
        return iter(done)

    def doctype(self, *_: object) -> None:
        raise Torn(f"line {self.parser.CurrentLineNumber} has a document type declaration, which is not read")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if self._open:
            self._elements += 1
            if len(self._open) >= _DEEPEST or self._elements > _MOST_ELEMENTS:
                raise Torn(f"line {self.parser.CurrentLineNumber} belongs to a record that is too large or too deep")
            element = Element(name, self.parser.CurrentLineNumber)
            self._open[-1].children.append(element)
            self._open.append(element)
            return
        if not self._above:
            self._wanted = self._depth(name)
        if len(self._above) == self._wanted:
            self._elements = self._length = 0
            self._open.append(Element(name, self.parser.CurrentLineNumber, tuple(self._above)))
        else:
            self._above.append(name)

    def end(self, tag: str) -> None:
        if not self._open:
            self._above.pop()
            return
        element = self._open.pop()
        element.text = element.text.strip()
        if not self._open:
            self._done.append(element)

    def text(self, text: str) -> None:
        if not self._open:
            return
        self._length += len(text)
        if self._length > _MOST_TEXT:
            raise Torn(f"line {self.parser.CurrentLineNumber} belongs to a record of more than {_MOST_TEXT} characters")
        element = self._open[-1]
        element.text = element.text + text if element.text else text
