"""Whatever validates is read back as it was written: every literal, text, extension, and the order of elements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from apothecary.fhir.json import FhirDecimal, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.conformance.harness import BASE, InProcess
from tests.mass import much

JSON = {"Content-Type": "application/fhir+json"}

# https://hl7.org/fhir/R5/datatypes.html#decimal
decimals = st.builds(
    lambda sign, whole, fraction, exponent: FhirDecimal(sign + whole + fraction + exponent),
    st.sampled_from(["", "-"]),
    st.from_regex(r"\A(0|[1-9][0-9]{0,8})\Z"),
    st.from_regex(r"\A\.[0-9]{1,8}\Z"),
    st.sampled_from(["", "", "e5", "E-3", "e+00"]),
)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text and text != ""
)
words = st.from_regex(r"\A[a-z][a-z0-9]{0,7}\Z")
values = st.one_of(
    st.fixed_dictionaries({"valueDecimal": decimals}),
    st.fixed_dictionaries({"valueString": texts}),
    st.fixed_dictionaries({"valueInteger": st.integers(-(2**31), 2**31 - 1)}),
    st.fixed_dictionaries({"valueBoolean": st.booleans()}),
    st.fixed_dictionaries({"valueQuantity": st.fixed_dictionaries({"value": decimals, "unit": texts})}),
    st.fixed_dictionaries({"valueCoding": st.fixed_dictionaries({"display": texts, "code": words})}),
)
urls = words.map(lambda word: f"http://ex.org/{word}")
extensions = st.lists(
    st.recursive(
        st.builds(lambda url, value: {"url": url, **value}, urls, values),
        lambda inner: st.builds(lambda url, parts: {"url": url, "extension": parts}, urls, st.lists(inner, min_size=1)),
        max_leaves=3,
    ),
    min_size=1,
    max_size=3,
)
twins = st.fixed_dictionaries({"extension": extensions}, optional={"id": words})
identifiers = st.lists(
    st.fixed_dictionaries({"system": urls, "value": texts}, optional={"extension": extensions}), min_size=1, max_size=2
)
concepts = st.fixed_dictionaries({"text": texts}, optional={"extension": extensions, "_text": twins})
metas = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.lists(st.fixed_dictionaries({"system": urls, "code": words}), min_size=1, max_size=2),
        "source": urls,
        "versionId": words,
        "extension": extensions,
    },
).filter(bool)
organizations = st.fixed_dictionaries(
    {"resourceType": st.just("Organization"), "name": texts},
    optional={
        "_name": twins,
        "meta": metas,
        "active": st.booleans(),
        "_active": twins,
        "alias": st.lists(texts, min_size=1, max_size=3),
        "extension": extensions,
        "identifier": identifiers,
        "type": st.lists(concepts, min_size=1, max_size=2),
        "language": st.sampled_from(["en", "de-CH"]),
        "implicitRules": urls,
        "id": words,
    },
)
medications = st.fixed_dictionaries(
    {"resourceType": st.just("Medication")},
    optional={
        "meta": metas,
        "status": st.sampled_from(["active", "inactive"]),
        "_status": twins,
        "code": concepts,
        "totalVolume": st.fixed_dictionaries({"value": decimals, "unit": texts}),
        "identifier": identifiers,
        "extension": extensions,
        "batch": st.fixed_dictionaries(
            {"lotNumber": texts}, optional={"expirationDate": st.just("2026-05"), "_lotNumber": twins}
        ),
        "ingredient": st.lists(
            st.fixed_dictionaries({"item": st.fixed_dictionaries({"concept": concepts})}), min_size=1, max_size=2
        ),
    },
)


@st.composite
def shuffled(draw: st.DrawFn) -> dict[str, Any]:
    """A resource with its elements in any order."""
    resource = draw(organizations | medications)
    return {key: resource[key] for key in draw(st.permutations(list(resource)))}


def literally(text: bytes) -> Any:
    """JSON as nested pairs in which every number is its literal: equal only where the texts say the same, in order."""
    return json.loads(
        text, object_pairs_hook=lambda pairs: ("object", pairs), parse_float=str, parse_int=lambda text: f"int {text}"
    )


def told(text: bytes) -> tuple[Any, Any]:
    """What a resource says besides what the server writes: its elements in order, and those of its meta."""
    pairs = literally(text)[1]
    meta = next((value[1] for key, value in pairs if key == "meta"), [])
    return (
        [(key, value) for key, value in pairs if key not in ("resourceType", "id", "meta")],
        [(key, value) for key, value in meta if key not in ("versionId", "lastUpdated")],
    )


@pytest.mark.mass
@pytest.mark.slow
@settings(max_examples=much(30, 150), deadline=None, suppress_health_check=list(HealthCheck))
@given(resource=shuffled(), escaped=st.booleans(), spaced=st.booleans())
def test_a_valid_resource_is_read_back_as_it_was_written(
    empty_server: InProcess, resource: dict[str, Any], escaped: bool, spaced: bool
) -> None:
    assume(not any(issue.severity in ("error", "fatal") for issue in validate(resource, FhirVersion.R5)))
    text = dumps(resource).decode()
    if escaped:
        text = "".join(one if one.isascii() else json.dumps(one)[1:-1] for one in text)
    if spaced:
        text = f" {text}\n"
    created = empty_server.ask("POST", f"{BASE}/{resource['resourceType']}", JSON, text)
    assert created.status == 201, created.body
    address = created.headers["location"].partition("/_history/")[0]
    for place in (address, created.headers["location"]):
        assert told(empty_server.ask("GET", place).body) == told(dumps(resource))
    found = empty_server.ask("GET", f"{BASE}/{resource['resourceType']}?_id={address.rpartition('/')[2]}")
    (entry,) = literally(found.body)[1][-1][1]
    pairs = dict(entry[1])["resource"][1]
    rest = [(key, value) for key, value in pairs if key not in ("resourceType", "id", "meta")]
    assert rest == told(dumps(resource))[0]
