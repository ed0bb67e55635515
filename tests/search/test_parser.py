"""A request's parameters become a search; what is not understood is said, and nothing is left behind."""

from __future__ import annotations

import pytest

from apothecary.errors import BadRequest, NotSupported, TooCostly
from apothecary.fhir.releases import FhirVersion
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse

REGISTRY = Registry(FhirVersion.R5, ("Medication", "Organization"))
CONTEXT = Context(REGISTRY, ("Medication",), clause_limit=3)


@pytest.mark.parametrize(
    "pairs",
    [
        [("bogus", "1"), ("status", "active")],
        [("_count", "5000"), ("_sort", "bogus")],
        [("_id", "a,b,c")],  # as many values as are allowed: counting begins anew
    ],
)
def test_a_context_keeps_nothing_of_what_it_was_asked(pairs: list[tuple[str, str]]) -> None:
    first = parse(CONTEXT, pairs)
    assert parse(CONTEXT, pairs) == first
    assert parse(CONTEXT, []).warnings == ()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("bogus", "1", "bogus=1 was ignored, so the answer is wider"),
        ("_sort", "bogus", "_sort=bogus was ignored"),
        ("_include", "Bogus:x", "_include=Bogus:x was ignored"),
        ("_score", "true", "_score=true was ignored"),
        ("_containedType", "contained", "_containedType=contained was ignored"),
        ("_type", "Medication", "_type=Medication was ignored"),
    ],
)
def test_what_is_not_understood_is_a_warning_or_an_error_as_the_client_asked(name: str, value: str, shown: str) -> None:
    found = parse(CONTEXT, [(name, value)])
    assert [(one.severity, one.code, one.expression) for one in found.warnings] == [
        ("warning", "not-supported", (name,))
    ]
    assert shown in found.warnings[0].diagnostics
    assert found.applied == ()
    with pytest.raises(NotSupported):
        parse(Context(REGISTRY, ("Medication",), strict=True), [(name, value)])


@pytest.mark.parametrize("name", ["_id", "marketingauthorizationholder._id", "_has:Medication:ingredient:_id"])
def test_the_values_of_all_parameters_are_counted_together(name: str) -> None:
    parse(CONTEXT, [("_id", "a,b")])
    parse(CONTEXT, [(name, "c,d")])
    with pytest.raises(TooCostly, match="more than 3 clauses"):
        parse(CONTEXT, [("_id", "a,b"), (name, "c,d")])


@pytest.mark.parametrize("text", ["bogus pr true", "_list pr true", "_filter pr true", "bogus eq 1"])
def test_a_filter_names_the_parameter_that_it_does_not_know_as_it_was_written(text: str) -> None:
    name = text.split()[0]
    with pytest.raises(BadRequest, match=f"Medication has no search parameter '{name}'"):
        parse(CONTEXT, [("_filter", text)])
