"""TOML is read with the place of every value, whatever way it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.content.documents import Pointer
from apothecary.content.toml import read_toml
from apothecary.errors import ContentError

WHOLE = r"""# [not.a.table]
title = "a # b = [c]" # comment = 1
'quoted "key"' = 1
"esc\u0061ped".dotted . 'three' = 2
date = 1979-05-27 07:32:00Z
multi = '''
[x]
y = 1'''
quotes = '''one ''two'' three'''''
more = "three\n[x]\n\"" # "
basic = '''"'''
text = \"""\
  a = "b"
  c = \"\"" d\"""
empty = ""
list = [ 1, [2, 'a]'], # ]
  {a.b = 3, c = [4]},
]
[ table . "dotted.name" ]
a = -1_000
[table]
b = inf
[[points]]
x = 1
[points.inner]
y = true
[[points]]
x = 2
[[points.deep]]
z = {}
[[points.deep]]
z = { u = [], v = 'w' }
""".replace('\\"""', '"""')


def leaves(value: Any, pointer: Pointer = ()) -> Iterator[tuple[Pointer, Any]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, (*pointer, key))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from leaves(one, (*pointer, number))
    else:
        yield pointer, value


def written_at(text: str, place: tuple[int, int]) -> Iterator[Any]:
    """Every value that a beginning of what stands at `place` writes."""
    lines = text.split("\n")
    rest = "\n".join([lines[place[0] - 1][place[1] - 1 :], *lines[place[0] :]])
    for end in range(1, len(rest) + 1):
        try:
            yield tomllib.loads(f"x = {rest[:end]}\n")["x"]
        except tomllib.TOMLDecodeError:
            continue


def assert_each_is_found(text: str) -> None:
    document = read_toml("x.toml", text)
    assert document.value == tomllib.loads(text)
    for pointer, value in leaves(document.value):
        line, column = document.positions.find(pointer)
        if value == {} and text.split("\n")[line - 1][column - 1 : column] != "{":
            continue  # an empty table under a header
        assert value in [*written_at(text, document.positions.find(pointer))], pointer


def test_every_value_is_found_however_it_is_written() -> None:
    assert_each_is_found(WHOLE)


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ((), (1, 1)),
        (("title",), (2, 9)),
        (("table", "dotted.name"), (19, 1)),
        (("table", "dotted.name", "a"), (20, 5)),
        (("table",), (19, 1)),
        (("table", "b"), (22, 5)),
        (("points", 1, "x"), (28, 5)),
        (("points", 1, "deep", 1), (31, 1)),
        (("points", 1, "deep", 1, "gone"), (31, 1)),
        (("gone",), (1, 1)),
    ],
)
def test_a_table_stands_at_its_header_and_what_is_missing_where_it_would_be(
    pointer: Pointer, place: tuple[int, int]
) -> None:
    assert read_toml("x.toml", WHOLE).positions.find(pointer) == place


SCALARS = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text("ab#=[]{},.'\"\\ ", max_size=6).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ),
    st.text('ab#=[]{},."\\ ', max_size=6).map(lambda text: f"'{text}'"),
    st.text('ab#=[]{},.\n" ', max_size=6).map(lambda text: "'''" + text + "'''"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ # ]\n" + ",\n".join(items) + "]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"k{number} = {one}" for number, one in enumerate(items)) + "}"
        ),
    ),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.lists(VALUES, max_size=3), max_size=3))
def test_every_value_of_any_document_is_found(tables: list[list[str]]) -> None:
    text = ""
    for number, values in enumerate(tables):
        text += f"[t.'{number}']\n" + "".join(f"k{count} = {one}\n" for count, one in enumerate(values))
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a line break inside an inline table
    assert_each_is_found(text)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("[validate", (1, 10), "Expected ']'"),
        ("a = 1\nb = \n", (2, 5), "Invalid value"),
        ("a = 1\na = 2\n", (2, 6), "Cannot overwrite a value"),
        ('a = 1\nb = "', (2, 6), "Unterminated string"),
        ("a = " + "[" * 100_000, (0, 0), "nested too deeply"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(text: str, place: tuple[int, int], said: str) -> None:
    with pytest.raises(ContentError) as caught:
        read_toml("x.toml", text)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("x.toml", *place)
    assert said in caught.value.reason
    assert "(at " not in caught.value.reason


def test_what_the_parser_can_read_can_be_searched_however_deep() -> None:
    for deep in range(20, 10_000, 20):
        try:
            document = read_toml("x.toml", f"a = {'[' * deep}{']' * deep}")
        except ContentError:
            assert deep > 100
            return
        assert document.positions.find(("a", *[0] * (deep - 1))) == (1, 4 + deep)
