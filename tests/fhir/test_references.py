"""References taken apart: https://hl7.org/fhir/R5/references.html#literal"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.references import is_id, parse_reference, references_in, split_canonical, written_references
from tests.versions.corpus import content, vendored

REFERENCES = (
    # text, base, type, id, version
    ("Medication/1", None, "Medication", "1", None),
    ("Medication/a-b.C/_history/2", None, "Medication", "a-b.C", "2"),
    ("https://ex.org/fhir/Medication/1", "https://ex.org/fhir", "Medication", "1", None),
    ("https://ex.org/fhir/r4/Medication/1/_history/3", "https://ex.org/fhir/r4", "Medication", "1", "3"),
    ("urn:uuid:0d6a7c3f-9d5e-4a0f-8f39-3c1b2a4d5e6f", None, None, None, None),
    ("#contained", None, None, None, None),
    ("medication/1", None, None, None, None),
    ("Medication/", None, None, None, None),
    ("Medication/a b", None, None, None, None),
    ("/Medication/1", None, None, None, None),
)


@pytest.mark.parametrize(("text", "base", "kind", "identity", "version"), REFERENCES)
def test_a_reference_is_taken_apart(
    text: str, base: str | None, kind: str | None, identity: str | None, version: str | None
) -> None:
    found = parse_reference(text)
    assert (found.url, found.base, found.type, found.id, found.version) == (text, base, kind, identity, version)
    assert found.relative == (base is None and kind is not None)


@pytest.mark.parametrize("text", ["a", "A-1.b", "x" * 64])
def test_ids_of_the_specification_are_ids(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "a_b", "a/b", "é", "x" * 65, "a\n", "a b"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("http://x", ("http://x", None)), ("http://x|1", ("http://x", "1")), ("http://x|", ("http://x", ""))],
)
def test_a_canonical_is_split_at_its_version(text: str, parts: tuple[str, str | None]) -> None:
    assert split_canonical(text) == parts


_NAMES = st.sampled_from(["reference", "references", "display", '"reference":"x', "\\"])
_TEXTS = st.one_of(
    st.text(), st.sampled_from(['"reference":"x"', '\\"reference\\":\\"x', "Medication/1", 'a"b', "\\", ""])
)
_OBJECTS = st.recursive(
    st.dictionaries(_NAMES, st.one_of(_TEXTS, st.integers(), st.booleans(), st.none())),
    lambda inner: st.dictionaries(_NAMES, st.one_of(inner, _TEXTS, st.lists(inner), st.lists(_TEXTS))),
)


@given(_OBJECTS)
@settings(max_examples=40)
def test_the_references_in_a_text_are_those_of_the_resource(resource: dict[str, object]) -> None:
    try:
        text = dumps(resource)
    except ValueError:
        return  # Half of a surrogate pair, which no text has.
    assert references_in(text) == written_references(resource)


def test_the_references_in_the_texts_of_examples_are_those_of_the_resources() -> None:
    every = [parse(file.read_bytes()) for file in [*content(), *(file for _, file in vendored())]]
    found = [references_in(dumps(one)) for one in every]
    assert found == [written_references(one) for one in every]
    assert any(found)
