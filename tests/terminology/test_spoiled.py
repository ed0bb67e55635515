"""Resources that a request brings along may be written in any way: what cannot be read of them is no server error."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}
Item = dict[str, Any]
Way = tuple[str | int, ...]

SYSTEM: Item = {
    "resourceType": "CodeSystem",
    "url": "http://x/s",
    "version": "1",
    "status": "active",
    "content": "complete",
    "caseSensitive": False,
    "valueSet": "http://x/all",
    "language": "en",
    "name": "N",
    "property": [
        {"code": "k", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
        {"code": "w", "type": "decimal"},
    ],
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status", "valueCode": "draft"}
    ],
    "concept": [
        {
            "code": "a",
            "display": "A",
            "definition": "d",
            "designation": [
                {
                    "language": "de",
                    "use": {"system": "u", "code": "c"},
                    "value": "B",
                    "extension": [
                        {
                            "url": "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
                            "valueCode": "deprecated",
                        }
                    ],
                }
            ],
            "property": [
                {"code": "k", "valueCode": "b"},
                {"code": "w", "valueDecimal": 1.5},
                {"code": "status", "valueCode": "retired"},
            ],
            "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/itemWeight", "valueDecimal": 2}],
            "concept": [{"code": "c"}],
        },
        {"code": "b", "display": "Bee"},
    ],
}
SUPPLEMENT: Item = {
    "resourceType": "CodeSystem",
    "url": "http://x/sup",
    "version": "1",
    "status": "active",
    "content": "supplement",
    "supplements": "http://x/s|1",
    "language": "fr",
    "concept": [
        {"code": "a", "display": "Ah", "designation": [{"value": "q"}], "property": [{"code": "z", "valueString": "1"}]}
    ],
}
SET: Item = {
    "resourceType": "ValueSet",
    "url": "http://x/v",
    "version": "1",
    "status": "draft",
    "language": "en",
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/valueset-supplement", "valueCanonical": "http://x/sup"}
    ],
    "contained": [
        {
            "resourceType": "ValueSet",
            "id": "i",
            "compose": {"include": [{"system": "http://x/s", "concept": [{"code": "a"}]}]},
        }
    ],
    "compose": {
        "inactive": True,
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
                "extension": [{"url": "name", "valueCode": "displayLanguage"}, {"url": "value", "valueCode": "de"}],
            }
        ],
        "include": [
            {
                "system": "http://x/s",
                "version": "1",
                "concept": [
                    {
                        "code": "a",
                        "display": "X",
                        "designation": [{"language": "de", "value": "Y"}],
                        "extension": [
                            {"url": "http://hl7.org/fhir/StructureDefinition/valueset-deprecated", "valueBoolean": True}
                        ],
                    }
                ],
            },
            {"system": "http://x/s", "filter": [{"property": "code", "op": "regex", "value": "[bc]"}]},
            {"valueSet": ["#i", "http://x/all"]},
        ],
        "exclude": [{"system": "http://x/s", "concept": [{"code": "c"}]}],
    },
    "expansion": {
        "total": 1,
        "offset": 0,
        "parameter": [{"name": "x"}],
        "contains": [
            {"system": "http://x/s", "code": "a", "contains": [{"system": "http://x/s", "code": "b", "version": "1"}]}
        ],
    },
}
MAP: Item = {
    "resourceType": "ConceptMap",
    "url": "http://x/m",
    "version": "1",
    "status": "active",
    "sourceScopeUri": "http://x/v",
    "additionalAttribute": [{"code": "r", "uri": "http://r", "type": "string"}],
    "property": [{"code": "p", "uri": "http://p", "type": "code"}],
    "group": [
        {
            "source": "http://x/s|1",
            "target": "http://x/t",
            "element": [
                {
                    "code": "a",
                    "display": "A",
                    "target": [
                        {
                            "code": "t",
                            "display": "T",
                            "relationship": "equivalent",
                            "comment": "c",
                            "dependsOn": [{"attribute": "r", "valueString": "1"}],
                            "product": [{"attribute": "r", "valueString": "2"}],
                            "property": [{"code": "p", "valueCode": "z"}],
                        },
                        {"valueSet": "http://x/v", "relationship": "related-to"},
                    ],
                },
                {"valueSet": "http://x/v", "noMap": True},
            ],
            "unmapped": {"mode": "other-map", "otherMap": "http://x/m2"},
        }
    ],
}
JUNK: list[Any] = [
    None,
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    ["x"],
    [5],
    {"a": 1},
    "x" * 300,
    {"code": 5},
    [{"code": {}}],
    "http://x/v",
    "#i",
    "http://x/s|1|2",
    "|",
]
CALLS: list[tuple[str, list[Item]]] = [
    (
        "ValueSet/$expand",
        [
            {"name": "url", "valueUri": "http://x/v"},
            {"name": "includeDesignations", "valueBoolean": True},
            {"name": "property", "valueCode": "w"},
            {"name": "property", "valueCode": "parent"},
            {"name": "includeDefinition", "valueBoolean": True},
        ],
    ),
    (
        "ValueSet/$expand",
        [
            {"name": "url", "valueUri": "http://x/v"},
            {"name": "displayLanguage", "valueCode": "de"},
            {"name": "filter", "valueString": "b"},
            {"name": "count", "valueInteger": 2},
            {"name": "activeOnly", "valueBoolean": True},
        ],
    ),
    ("ValueSet/$expand", [{"name": "url", "valueUri": "http://x/all"}]),
    (
        "ValueSet/$validate-code",
        [
            {"name": "url", "valueUri": "http://x/v"},
            {"name": "coding", "valueCoding": {"system": "http://x/s", "code": "a", "display": "Q"}},
        ],
    ),
    (
        "ValueSet/$validate-code",
        [
            {"name": "url", "valueUri": "http://x/v"},
            {"name": "code", "valueCode": "B"},
            {"name": "inferSystem", "valueBoolean": True},
        ],
    ),
    (
        "CodeSystem/$validate-code",
        [{"name": "coding", "valueCoding": {"system": "http://x/s", "code": "a", "display": "Q"}}],
    ),
    (
        "CodeSystem/$lookup",
        [
            {"name": "system", "valueUri": "http://x/s"},
            {"name": "code", "valueCode": "a"},
            {"name": "useSupplement", "valueCanonical": "http://x/sup"},
        ],
    ),
    (
        "CodeSystem/$subsumes",
        [
            {"name": "system", "valueUri": "http://x/s"},
            {"name": "codeA", "valueCode": "a"},
            {"name": "codeB", "valueCode": "c"},
        ],
    ),
    (
        "ConceptMap/$translate",
        [
            {"name": "url", "valueUri": "http://x/m"},
            {"name": "sourceCoding", "valueCoding": {"system": "http://x/s", "code": "a"}},
        ],
    ),
    (
        "ConceptMap/$translate",
        [
            {"name": "url", "valueUri": "http://x/m"},
            {"name": "targetCoding", "valueCoding": {"system": "http://x/t", "code": "t"}},
        ],
    ),
]


def ways(value: Any, above: Way = ()) -> Iterator[Way]:
    """The way to each value in a resource."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = [*value.items()]
    elif isinstance(value, list):
        inner = [*enumerate(value)]
    for name, one in inner:
        yield (*above, name)
        yield from ways(one, (*above, name))


def spoiled(resource: Item, random_: random.Random) -> Item:
    """A copy in which something else stands in some places."""
    found = copy.deepcopy(resource)
    for way in random_.sample([one for one in ways(resource) if one[0] != "resourceType"], random_.randint(1, 3)):
        owner: Any = found
        try:
            for name in way[:-1]:
                owner = owner[name]
            owner[way[-1]] = copy.deepcopy(random_.choice(JUNK))
        except (KeyError, IndexError, TypeError):
            continue  # What stood above it is gone.
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_resource_that_goes_along_is_an_error_of_the_server(empty: InProcess, seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(150):
        given = [SYSTEM, SUPPLEMENT, SET, MAP]
        place = random_.randrange(4)
        given[place] = spoiled(given[place], random_)
        operation, parameters = random_.choice(CALLS)
        along = [{"name": "tx-resource", "resource": one} for one in given]
        body = json.dumps({"resourceType": "Parameters", "parameter": [*along, *parameters]})
        answer = empty.ask("POST", f"/fhir/{random_.choice(('r4', 'r4b', 'r5'))}/{operation}", JSON, body)
        assert answer.status < 500, (operation, given[place])
        if answer.status >= 400:
            assert answer.json["resourceType"] == "OperationOutcome"


# Each of these was an error of the server.
BROKEN: list[tuple[Way, Any]] = [
    (("concept", 0, "code"), {"code": 5}),
    (("concept", 0, "code"), ["x"]),
    (("concept", 0, "designation", 0, "extension"), [None]),
    (("concept", 0, "designation", 0, "extension"), 5),
    (("concept", 0, "designation", 0, "extension", 0, "valueCode"), []),
    (("concept", 0, "extension", 0, "url"), []),
]


@pytest.mark.parametrize(("way", "junk"), BROKEN)
def test_what_cannot_be_read_of_a_code_system_is_passed_over(empty: InProcess, way: Way, junk: Any) -> None:
    system = copy.deepcopy(SYSTEM)
    owner: Any = system
    for name in way[:-1]:
        owner = owner[name]
    owner[way[-1]] = junk
    for operation, parameters in CALLS:
        along = [{"name": "tx-resource", "resource": one} for one in (system, SUPPLEMENT, SET, MAP)]
        body = json.dumps({"resourceType": "Parameters", "parameter": [*along, *parameters]})
        assert empty.ask("POST", f"/fhir/r5/{operation}", JSON, body).status < 500
