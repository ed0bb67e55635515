"""What held of one value is taken to hold of another only where the invariant cannot tell the two apart."""

from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from apothecary.validation.alike import alike, read_by

ITEM = definitions(FhirVersion.R5).structure("Questionnaire.item")
ELEMENT = definitions(FhirVersion.R5).structure("ElementDefinition")
GOOD: dict[str, Any] = {"linkId": "a", "text": "t", "type": "string"}


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({**GOOD, "type": "display", "required": True}, "que-6"),
        ({**GOOD, "type": "group", "maxLength": 3}, "que-10"),
        ({**GOOD, "type": "group", "answerOption": [{"valueString": "x"}]}, "que-5"),
        ({**GOOD, "type": "group", "initial": [{"valueString": "x"}]}, "que-8"),
        ({**GOOD, "initial": [{"valueString": "x"}, {"valueString": "y"}]}, "que-13"),
        (
            {**GOOD, "type": "display", "_required": {"extension": [{"url": "http://a.b/c", "valueString": "x"}]}},
            "que-6",
        ),
    ],
)
def test_a_defect_is_found_after_any_number_of_sound_elements(bad: dict[str, Any], rule: str) -> None:
    for items in ([GOOD, bad], [bad, GOOD], [GOOD, bad, bad]):
        whole = {
            "resourceType": "Questionnaire",
            "status": "active",
            "item": [{**item, "linkId": f"i{index}"} for index, item in enumerate(items)],
        }
        found = [issue.expression[0] for issue in validate(whole, FhirVersion.R5) if issue.rule == rule]
        assert found == [f"Questionnaire.item[{index}]" for index, item in enumerate(items) if item is bad]


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("type!='display' or required.empty()", {"type", "_type", "required", "_required"}),
        ("enableWhen.count() > 1 implies enableBehavior.exists()", {"enableWhen", "enableBehavior", "_enableBehavior"}),
        ("type in ('a' | 'b') and (linkId.empty())", {"type", "_type", "linkId", "_linkId"}),
        ("%resource.status = 'draft' or type.exists()", None),
        ("type.empty() or type.select($this in ('a' | 'b')).allFalse()", {"type", "_type"}),
        ("prefix.where($this = 'a').exists()", {"prefix", "_prefix"}),
        ("$this.type.exists()", None),
        ("where($this.exists()).exists()", None),
        ("first().select($this in ('a' | 'b')).allFalse()", None),
        ("type.select($index > 0).allFalse()", None),
        ("children().count() > 1", None),
        ("descendants().linkId.isDistinct()", None),
        ("definition.resolve().exists()", None),
        ("hasValue() or type.exists()", None),
        ("extension('http://a.b/c').exists()", None),
    ],
)
def test_what_an_invariant_reads_is_what_it_names(expression: str, read: set[str] | None) -> None:
    found = read_by(expression, ITEM)
    assert (None if found is None else found - {"_enableWhen"}) == read


def test_a_choice_is_read_in_all_its_types() -> None:
    read = read_by("fixed.empty() or pattern.empty()", ELEMENT)
    assert read is not None
    assert {"fixedString", "_fixedString", "patternCoding"} <= read
    assert "min" not in read


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": "1"}, {"a": 1}),
        ({"a": "x"}, {"b": "x"}),
        ({"a": ["x"]}, {"a": "x"}),
        ({"a": ["x"]}, {"a": {"x": 1}}),
        ({"a": [{"x": 1}]}, {"a": {"x": 1}}),
        ({"a": [{"x": 1}]}, {"a": [{"y": 1}]}),
        ({"a": {}}, {"a": []}),
        ({"a": "x"}, {}),
        ({"a": [True]}, {"a": [1]}),
    ],
)
def test_values_that_differ_in_what_is_read_are_not_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    read = frozenset("ab")
    assert alike(one, read) != alike(other, read) or alike(one, read) is None
    assert alike({**one, "c": 1}, read) == alike({**one, "c": 2}, read)


@pytest.mark.parametrize(
    "value",
    ["text", 5, {"a": "x" * 101}, {"a": [1] * 5}, {"a": {"b": {"c": 1}}}, {"a": [[1]]}, {"a": None}, {"a": 1.5}],
)
def test_what_is_too_large_or_too_deep_is_not_kept(value: Any) -> None:
    assert alike(value, frozenset("a")) is None
