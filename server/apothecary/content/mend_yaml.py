"""Where a mend stands in a YAML text, and how it is written there (https://yaml.org/spec/1.2.2/#chapter-7-flow-style-productions)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from apothecary.content.documents import Document, Pointer
from apothecary.content.yaml import scalar_spans

# A word or a URL: no reader of YAML takes it for anything else, but for the words that mean a truth value or nothing.
_PLAIN = re.compile(r"[A-Za-z][\w./-]*(?:://[\w./-]*\w)?")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# The key of a block mapping at the beginning of its line, maybe as the first in an item of a list.
_KEY = re.compile(r"""[ ]*(?:-[ ]+)*(?=(["']?)[A-Za-z]+\1[ ]*:[ ]+\Z)""")


def yaml_editor(document: Document) -> Callable[[tuple[Pointer, Any, str | None]], tuple[int, int, str] | None]:
    """What gives for a change its edit, from where to where in the text and what stands there then; None where it
    cannot be written, as inside of an alias.
    """
    text = document.text
    spans = scalar_spans(text)

    def edit(change: tuple[Pointer, Any, str | None]) -> tuple[int, int, str] | None:
        pointer, value, after = change
        span = spans.get(pointer if after is None else (*pointer[:-1], after))
        if span is None:
            return None
        start, end = span
        return (start, end, _written(value, text[start])) if after is None else _sibling(text, span, pointer, value)

    return edit


def _written(value: Any, first: str) -> str:
    """A scalar as the one before was written, whose first character is `first`: plain or in its quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    if first == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if first not in "\"'" and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _sibling(text: str, span: tuple[int, int], pointer: Pointer, value: Any) -> tuple[int, int, str]:
    """The edit that puts a key after its sibling: on a line of its own, or in the same braces."""
    start, end = span
    begin = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    key = _KEY.match(text[begin:start])
    if key is None:
        return end, end, f", {pointer[-1]}: {json.dumps(value)}"
    ended = re.compile(r"[^\r\n]*").match(text, end)
    at = end if ended is None else ended.end()
    line_break = "\r\n" if "\r\n" in text else "\n"
    return at, at, f"{line_break}{' ' * key.end()}{pointer[-1]}: {json.dumps(value)}"
