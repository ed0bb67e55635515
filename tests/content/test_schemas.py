"""A file of a known kind is read, or every fault in it is told with its place; its schema says the same."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from apothecary.content.documents import Document, RecordedPositions
from apothecary.content.schemas import MOST_FAULTS, json_schema, read_as
from apothecary.content.toml import read_toml
from apothecary.content.yaml import read_yaml
from apothecary.errors import InvalidFile


class Column(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A column of a table."""

    name: Annotated[str, Meta(min_length=1, description="The heading.")]
    kind: Literal["code", "text"] = "text"
    width: Annotated[int, Meta(ge=1, le=80)] = 10
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    also_called: str | tuple[str, ...] = ()
    inside: tuple[Column, ...] = ()
    secret: Annotated[str, Meta(pattern="^[a-z]*$", extra_json_schema={"errorMessage": "small letters"})] = ""


class Mapping(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """How a table is read."""

    columns: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=200)]
    options: dict[str, bool] = {}


SOUND = """
columns:
  - name: Drug
    kind: code
  - {name: "Use", also-called: [purpose, "for"], width: 3}
options:
  strict: true
"""

FAULTS = """columns:
  - kind: cod
    secret: Pa55word
  - name: ''
    width: 0
    share: 1
    also-called: 7
  - nam: x
    inside:
      - name: 3
        width: 81
options:
  strict: maybe
  columns: 1
name: x
"""


def told(kind: type[Any], document: Document, within: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read_as(kind, document, within)
    return str(caught.value).split("\n")


def test_a_sound_file_becomes_what_its_kind_says() -> None:
    found = read_as(Mapping, read_yaml("m.yaml", SOUND))
    assert [(one.name, one.kind, one.also_called) for one in found.columns] == [
        ("Drug", "code", ()),
        ("Use", "text", ("purpose", "for")),
    ]
    assert found.options == {"strict": True}


def test_every_fault_is_told_at_its_place_in_the_order_of_the_file() -> None:
    assert told(Mapping, read_yaml("m.yaml", FAULTS)) == [
        "m.yaml:2:5: columns.0 lacks name",
        "m.yaml:2:11: columns.0.kind: write one of code, text (did you mean 'code'?)",
        "m.yaml:3:13: columns.0.secret: write small letters",
        "m.yaml:4:11: columns.1.name: write a text of 1 or more characters",
        "m.yaml:5:12: columns.1.width: write a number from 1",
        "m.yaml:6:12: columns.1.share: write a number below 1",
        "m.yaml:7:18: columns.1.also-called: write a text or a list",
        "m.yaml:8:5: columns.2 lacks name",
        "m.yaml:8:10: 'nam' is not a key of columns.2 (did you mean 'name'?)",
        "m.yaml:10:15: columns.2.inside.0.name: write a text",
        "m.yaml:11:16: columns.2.inside.0.width: write a number up to 80",
        "m.yaml:13:11: options.strict: write true or false",
        "m.yaml:14:12: options.columns: write true or false",
        "m.yaml:15:7: 'name' is not a key of the file; its keys are columns, options",
    ]


def test_no_message_quotes_a_value() -> None:
    assert "Pa55word" not in "".join(told(Mapping, read_yaml("m.yaml", FAULTS)))


def test_what_the_reader_found_wrong_is_told_as_well() -> None:
    assert told(Mapping, read_yaml("m.yaml", "columns: [")) == [
        "m.yaml:1:11: While parsing a flow node: did not find expected node content."
    ]
    assert "stands twice" in told(Mapping, read_yaml("m.yaml", f"{SOUND}options: {{}}\n"))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns: []", ["m.yaml:1:10: columns: write 1 or more items"]),
        ("{}", ["m.yaml:1:1: the file lacks columns"]),
        ("[]", ["m.yaml:1:1: the file: write a table"]),
        ("columns: [{name: a, width: 1.0}]", ["m.yaml:1:28: columns.0.width: write a whole number"]),
        ("columns: [{name: a, width: true}]", ["m.yaml:1:28: columns.0.width: write a whole number"]),
        ("columns: [{name: ~}]", ["m.yaml:1:18: columns.0.name: write a text"]),
    ],
)
def test_other_faults(text: str, said: list[str]) -> None:
    assert told(Mapping, read_yaml("m.yaml", text)) == said


def test_a_part_of_a_file_is_checked_under_its_own_name() -> None:
    text = "[tool.x]\nwidth = 1\n[[tool.x.columns]]\nname = 'a'\n[tool.y]\nz = 1\n"
    assert told(Mapping, read_toml("t.toml", text), ("tool", "x")) == [
        "t.toml:2:9: 'width' is not a key of [tool.x]; its keys are columns, options"
    ]


def test_endless_faults_are_told_up_to_a_limit_and_counted() -> None:
    text = "columns:\n" + "  - {name: 1}\n" * (MOST_FAULTS + 20)
    lines = told(Mapping, read_yaml("m.yaml", text))
    assert len(lines) == MOST_FAULTS + 1
    assert lines[-1] == "m.yaml: and 20 more"


def test_the_schema_is_one_and_says_what_the_fields_mean() -> None:
    schema = json_schema(Mapping, "urn:x", "A mapping")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["$id"], schema["title"]) == ("urn:x", "A mapping")
    assert schema["$defs"]["Column"]["properties"]["name"]["description"] == "The heading."


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 90), st.floats(0, 2), st.sampled_from(["", "a", "A", "code"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                ["name", "kind", "width", "share", "also-called", "inside", "secret", "columns", "options", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
COLUMNS = st.fixed_dictionaries({"columns": st.lists(VALUES, max_size=2)}, optional={"options": VALUES})


@settings(deadline=None)  # a busy machine is no fault
@given(st.one_of(VALUES, COLUMNS))
def test_a_file_is_read_exactly_when_its_schema_allows_it(value: Any) -> None:
    reasons = refused(Document("m.yaml", "", "yaml", value, RecordedPositions({})))
    if jsonschema.Draft202012Validator(msgspec.json.schema(Mapping)).is_valid(value):
        # 1.0 is a whole number to JSON Schema.
        assert reasons == [] or any(isinstance(one, float) and one.is_integer() for one in floats(value))
    else:
        assert reasons
    assert all(": write" in one or "lacks" in one or "not a key" in one for one in reasons)


def refused(document: Document) -> list[str]:
    """Why a document is refused; nothing where it is read."""
    try:
        read_as(Mapping, document)
    except InvalidFile as error:
        return [one.reason for one in error.faults]
    return []


def floats(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return [found for one in parts for found in floats(one)]
    return [value]
