"""`MedicationKnowledge/$match`: what is found, how it is graded, and what it says of what it did not understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.content.sync import sync
from apothecary.operations import match_search
from apothecary.search.words import words
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess

JSON = dict[str, Any]
RESOURCES = Path(__file__).parents[2] / "resources"
PARAMETERS = ("drug-name", "strength")
S, NDC, UCUM = "http://example.org/drugs", "http://hl7.org/fhir/sid/ndc", "http://unitsofmeasure.org"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
# What stands below what.
PARENTS = {"g1": "i1", "g2": "i1", "b1": "g1", "b2": "g1", "g3": "i2", "b3": "g3"}
HIERARCHY: JSON = {
    "resourceType": "CodeSystem", "id": "drugs", "url": S, "status": "active", "content": "complete",
    "caseSensitive": True,
    "property": [{"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
    "concept": [
        {"code": code, **({"property": [{"code": "parent", "valueCode": PARENTS[code]}]} if code in PARENTS else {})}
        for code in ("i1", "i2", "g1", "g2", "g3", "b1", "b2", "b3", "c1", "f1", "f2")
    ],
}  # fmt: skip
# id: codes, names, ingredients with their strengths (amount, unit, in so much, of what), form, class, status.
DRUGS: dict[str, tuple[list[str], list[str], list[tuple[str, str | None]], tuple[str, str] | None, str | None, str]] = {
    "g1": (["g1"], ["zolpidem 5 mg tablet", "zolpidem"], [("i1", "5 mg/1 1")], ("f1", "Oral Tablet"), "c1", "active"),
    "b1": (["b1"], ["Braveta", "zolpidem"], [("i1", "0.005 g/1 {tbl}")], ("f1", "Oral Tablet"), None, "active"),
    "b2": (["b2"], ["Café Nuit", "zolpidem"], [("i1", "5 mg/1 1")], ("f2", "Film Coated Tablet"), None, "inactive"),
    "g2": (["g2"], ["zolpidem 10 mg tablet"], [("i1", "10 mg/1 1")], ("f1", "Oral Tablet"), "c1", "active"),
    "g3": (["g3"], ["quinine syrup"], [("i2", "100 mg/5 mL")], ("f2", "Syrup"), None, "active"),
    "b3": (["b3"], ["דרופ", "quinine"], [("i2", "20 mg/1 mL")], None, None, "active"),
    "both": (
        [], ["zolpidem and quinine"], [("i1", "5 mg/1 1"), ("i2", "10 mg/1 1")], ("f1", "Oral Tablet"), None, "active"
    ),
    "bare": ([], ["zolpidem"], [], None, None, "active"),
    "wrong": (["g1"], ["zolpidem"], [], None, None, "entered-in-error"),
}  # fmt: skip


def concept(code: str | None, text: str | None = None) -> JSON:
    return {**({"coding": [{"system": S, "code": code}]} if code else {}), **({"text": text} if text else {})}


def ratio(said: str) -> JSON:
    sides = []
    for side in said.split("/"):
        value, unit = side.split()
        sides.append({"value": float(value) if "." in value else int(value), "system": UCUM, "code": unit})
    return {"numerator": sides[0], "denominator": sides[1]}


def drugs() -> Iterator[JSON]:
    yield HIERARCHY
    for key, (codes, names, ingredients, form, kind, status) in DRUGS.items():
        inside = [
            {"item": {"concept": concept(code)}, **({"strengthRatio": ratio(said)} if said else {})}
            for code, said in ingredients
        ]
        about = {**({"doseForm": concept(*form)} if form else {}), **({"ingredient": inside} if inside else {})}
        kinds = [{"type": {"text": "c"}, "classification": [concept(kind)]}]
        code = concept(codes[0], names[0]) if codes else {"text": names[0]}
        if key == "b1":
            code["coding"].append({"system": NDC, "code": "99991-0002-01"})
        yield {
            "resourceType": "MedicationKnowledge",
            "id": key,
            "status": status,
            "code": code,
            "name": names,
            **({"definitional": about} if about else {}),
            **({"medicineClassification": kinds} if kind else {}),
        }


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[InProcess]:
    folder = tmp_path / "content" / "SearchParameter"
    folder.mkdir(parents=True)
    for name in PARAMETERS:
        file = f"MedicationKnowledge-{name}.json"
        (folder / file).write_bytes((RESOURCES / "SearchParameter" / file).read_bytes())
    options = Settings(database=database_url, content=str(folder.parent))
    store = open_store(options)
    sync(options, store)
    loader = Loader(store, options, lambda failure: pytest.fail(str(failure)))
    load(loader, (read_bytes("drugs", json.dumps(one).encode(), "ndjson") for one in drugs()))
    yield InProcess(options, store)
    store.close()


def matched(answer: Answer) -> list[tuple[str, float, str]]:
    assert answer.status == 200, answer.body
    return [
        (one["resource"]["id"], one["search"]["score"], one["search"]["extension"][0]["valueCode"])
        for one in answer.json.get("entry", ())
        if one["search"]["mode"] == "match"
    ]


def said(answer: Answer) -> list[JSON]:
    found = [one["resource"] for one in answer.json.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return [issue for one in found for issue in one["issue"]]


def ask(server: InProcess, release: str = "r5", **given: Any) -> Answer:
    return server.ask("GET", f"/fhir/{release}/MedicationKnowledge/$match?{urlencode(given, doseq=True)}")


def post(server: InProcess, body: JSON, release: str = "r5") -> Answer:
    headers = {"Content-Type": "application/fhir+json"}
    return server.ask("POST", f"/fhir/{release}/MedicationKnowledge/$match", headers, json.dumps(body))


# What is asked -> the matches, best first, with their grades.
CASES: list[tuple[JSON, list[tuple[str, str]]]] = [
    ({"code": f"{S}|b1"}, [("b1", "certain"), ("g1", "possible")]),
    ({"code": f"{S}|g1"}, [("g1", "certain"), ("b1", "possible"), ("b2", "possible")]),
    ({"code": f"{S}|g3", "strength": "100 mg/5 mL"}, [("g3", "certain"), ("b3", "probable")]),
    ({"code": "99991*0002*01"}, [("b1", "certain")]),
    ({"code": f"{NDC}|99991000201", "strength": "5 mg"}, [("b1", "certain")]),
    ({"code": f"{S}|c1"}, [("g1", "possible"), ("g2", "possible")]),
    ({"name": "CAFE  nuit"}, [("b2", "certain")]),
    ({"name": "דרופ"}, [("b3", "certain")]),
    ({"name": "bravetta"}, [("b1", "possible")]),
    ({"name": "quinine", "strength": "20 mg/mL"}, [("b3", "certain"), ("g3", "probable"), ("both", "possible")]),
    ({"name": "Braveta", "form": f"{S}|f1"}, [("b1", "certain")]),
    ({"name": "Braveta", "form": "tablet"}, [("b1", "probable")]),
    ({"name": "Braveta", "strength": "5000 ug", "form": "oral tablet"}, [("b1", "certain")]),
    ({"name": ["Braveta", "quinine"], "onlyCertainMatches": "true"}, [("b1", "certain"), ("b3", "certain")]),
    ({"name": "nothing like it"}, []),
    ({"name": "zolpidem", "strength": "5 mg", "count": 2}, [("b1", "certain"), ("g1", "certain")]),
]


def test_drugs_are_found_and_graded_in_each_release(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("r5", "r4", "r4b"):
        for given_, found in CASES:
            answer = ask(server, release, **given_)
            assert [(key, grade) for key, _, grade in matched(answer)] == found, (release, given_, said(answer))
            grades = {key: grade for key, _, grade in matched(answer)}
            reasons = {i["expression"][0]: i["details"]["text"] for i in said(answer) if "expression" in i}
            for place, key in enumerate(grades):
                assert reasons[f"Bundle.entry[{place}]"].startswith(f"MedicationKnowledge/{key}: {grades[key]}: ")
    _posted(server)
    _not_understood(server)
    _refused(server)
    _bounded(server, monkeypatch)


def _posted(server: InProcess) -> None:
    """A Coding, a CodeableConcept, and a drug of either type, in Parameters or as it is."""
    for name, value in (
        ("coding", {"valueCoding": {"system": S, "code": "b1"}}),
        ("code", {"valueCoding": {"system": S, "code": "b1"}}),
        ("code", {"valueCodeableConcept": {"coding": [{"system": S, "code": "b1"}]}}),
        ("code", {"valueString": f"{S}|b1"}),
    ):
        answer = post(server, {"resourceType": "Parameters", "parameter": [{"name": name, **value}]})
        assert matched(answer)[0][::2] == ("b1", "certain"), name
    older: JSON = {
        "resourceType": "Medication",
        "code": {"coding": [{"system": S, "code": "b1"}], "text": "Braveta"},
        "form": {"text": "Oral Tablet"},
        "ingredient": [
            {
                "itemCodeableConcept": concept("i1"),
                "strength": {"numerator": {"value": 5, "system": UCUM, "code": "mg"}, "denominator": {"value": 1}},
            }
        ],
        "batch": {"lotNumber": "1"},
    }
    answer = post(server, older, "r4")
    assert matched(answer)[0] == ("b1", 1, "certain")
    assert any("batch of the Medication" in one["details"]["text"] for one in said(answer))
    for key in ("g1", "b2", "g3"):
        resource = server.ask("GET", f"/fhir/r5/MedicationKnowledge/{key}").json
        asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
        assert matched(post(server, asked))[0][::2] == (key, "certain")
    # Only its ingredient is known: what contains it may be meant, and nothing is certain.
    bare = {"resourceType": "Medication", "ingredient": [{"item": {"concept": concept("i2")}}]}
    assert {key for key, _, _ in matched(post(server, bare))} == {"g3", "b3", "both"}
    assert {grade for _, _, grade in matched(post(server, bare))} == {"possible"}


def _not_understood(server: InProcess) -> None:
    """What is passed over is told, and then nothing is certain."""
    for given_ in (
        {"strength": "half"},
        {"strength": "5 mg/x/y"},
        {"strength": "5 blorps"},
        {"strength": "-5 mg"},
        {"strength": "0 mg"},
        {"strength": ""},
        {"form": "***"},
        {"name": ["Braveta", "x" * 10_000]},
        {"name": ["Braveta", " ".join("abcdefghij" * 20)]},
        {"name": ["Braveta", "\u202e \u200f"]},
        {"name": ["Braveta", ""]},
        {"strength": ["5 mg"] + [f"{number} mg" for number in range(10, 40)]},
    ):
        answer = ask(server, **{"name": "Braveta", **given_})
        assert matched(answer)[0][0] == "b1", given_
        assert "certain" not in {grade for _, _, grade in matched(answer)}, given_
        assert any("passed over" in one["details"]["text"] for one in said(answer)), given_
    # Of very many names or codes the first are looked for, which is told once.
    for given_ in (
        {"name": ["Braveta", *(f"n{n}" for n in range(50))]},
        {"code": [f"{S}|b1", *(f"{S}|x{n}" for n in range(50))]},
    ):
        answer = ask(server, **given_)
        assert matched(answer)[0][::2] == ("b1", "certain")
        assert sum("is one of more than 20" in one["details"]["text"] for one in said(answer)) == 1
    # Operators, wildcards and escapes of a search are letters here.
    for name in (
        "zolpi*",
        "quinine OR zolpidem",
        "NOT zolpidem",
        "(zolpidem",
        'zol"pidem',
        "a|b$c,d\\e",
        "zolpidem~~",
        "%",
    ):
        answer = ask(server, name=["Braveta", name])
        assert matched(answer)[0][0] == "b1", name
    assert matched(ask(server, name="quinine OR zolpidem")) == []
    # A code system whose hierarchy is not held is searched without it, and that is told.
    answer = ask(server, code="http://example.org/other|b1", name="Braveta")
    assert any("code:below was not looked into" in one["details"]["text"] for one in said(answer))


def _refused(server: InProcess) -> None:
    for given_, why in (
        ({}, "no name and no code"),
        ({"strength": "5 mg"}, "no name and no code"),
        ({"name": "***"}, "no name and no code"),
        ({"code": f"{S}|"}, "system|code"),
        ({"nam": "x"}, "not known here"),
        ({"name": "x", "count": "-1"}, "count"),
        ({"name": "x", "count": ["1", "2"]}, "taken once"),
        ({"name": "x", "onlyCertainMatches": "maybe"}, "true or false"),
    ):
        answer = ask(server, **given_)
        assert answer.status == 400, given_
        assert why in answer.body.decode(), answer.body
    for body in (
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Patient"}}]},
        {"resourceType": "Parameters", "parameter": [{"name": "coding", "valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "coding", "valueCoding": {"system": 1}}]},
        {"resourceType": "Parameters", "parameter": [{"name": "name", "valueInteger": 1}]},
        {"resourceType": "Medication", "code": 1, "ingredient": [{"item": 1}], "doseForm": {"coding": {}}},
    ):
        assert post(server, body).status == 400, body


def _bounded(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more have the name than are looked at, that is told, and what meets more criteria is looked at first."""
    monkeypatch.setattr(match_search, "MOST_OF_ONE", 2)
    monkeypatch.setattr(match_search, "MOST", 3)
    answer = ask(server, name="zolpidem", form=f"{S}|f1")
    assert [(key, grade) for key, _, grade in matched(answer)][:2] == [("b1", "certain"), ("g1", "certain")]
    assert "g1" not in {key for key, _, _ in matched(ask(server, name="zolpidem"))}
    assert any(one["code"] == "too-costly" for one in said(answer))


# -- the oracle: all drugs, one by one, by the definition of each grade


def above(code: str) -> set[str]:
    found = set()
    while code in PARENTS:
        code = PARENTS[code]
        found.add(code)
    return found


def amount(said: str) -> tuple[Decimal, str, Decimal, str]:
    """In milligrams or millilitres."""
    sides = []
    for side in (said if "/" in said else f"{said}/1 1").split("/"):
        value, unit = side.split()
        factor = {"g": Decimal(1000), "ug": Decimal("0.001")}.get(unit, Decimal(1))
        sides.append((Decimal(value) * factor, "" if unit in ("1", "{tbl}") else "mg" if unit in ("g", "ug") else unit))
    return *sides[0], *sides[1]


def alike(one: str, other: str) -> float:
    value, unit, per, of = amount(one)
    value2, unit2, per2, of2 = amount(other)
    if unit != unit2:
        return 0
    if of == of2 and value * per2 == value2 * per:
        return 1
    return 0.5 if value == value2 else 0


def expected(
    codes: list[str], names: list[str], strengths: list[str], form: str | None
) -> list[tuple[str, float, str]]:
    found = []
    for key, (own, called, ingredients, has_form, kind, status) in DRUGS.items():
        if status == "entered-in-error":
            continue
        levels: dict[str, float] = {}
        if codes:
            near = {c for one in own for c in (above(one) | {x for x in PARENTS if one in above(x)})}
            near |= {one for one, _ in ingredients} | {kind}
            levels["code"] = max(1.0 if one in own else 0.5 if one in near else 0.0 for one in codes)
        if names:
            every = {word for one in called for word in words(one)}
            levels["name"] = max(
                1.0 if words(one) in map(words, called) else 0.7 if set(words(one)) <= every else 0.0 for one in names
            )
        if not (levels.get("code") or levels.get("name")):
            continue
        if strengths:
            held = [said for _, said in ingredients if said]
            best = [max((alike(one, other) for other in held), default=0) for one in strengths]
            exact = min(best) == 1 and len(held) == len(strengths)
            levels["strength"] = 1.0 if exact else 0.5 if min(best) > 0 else 0.0
        if form:
            text = words(has_form[1]) if has_form else ()
            levels["form"] = 1.0 if words(form) == text else 0.5 if set(words(form)) <= set(text) else 0.0
        weights = {"code": 4, "name": 3, "strength": 2, "form": 1}
        got = sum(weights[kind] * Decimal(str(level)) for kind, level in levels.items())
        score = (got / sum(weights[kind] for kind in levels)).quantize(Decimal("0.001"))
        grade = "certain" if set(levels.values()) == {1.0} else "probable" if score >= Decimal("0.6") else "possible"
        found.append((key, float(score), grade, status != "active"))
    found.sort(key=lambda one: (-one[1], one[3], one[0]))
    return [one[:3] for one in found]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    codes=st.lists(st.sampled_from(["i1", "i2", "g1", "g2", "g3", "b1", "b2", "b3", "c1"]), max_size=2, unique=True),
    names=st.lists(
        st.sampled_from(
            ["zolpidem", "Quinine", "zolpidem quinine", "tablet 10", "cafe nuit", "syrup", "zolpidem and quinine"]
        ),
        max_size=2,
        unique=True,
    ),
    strengths=st.lists(
        st.sampled_from(["5 mg", "10 mg", "0.01 g", "20 mg/1 mL", "100 mg/5 mL", "5000 ug"]),
        max_size=2,
        unique=True,
    ),
    form=st.sampled_from([None, "tablet", "Oral Tablet", "syrup", "coated"]),
)
def test_the_answer_is_what_looking_at_every_drug_finds(
    server: InProcess, codes: list[str], names: list[str], strengths: list[str], form: str | None
) -> None:
    if not (codes or names):
        return
    amounts = [one for place, one in enumerate(strengths) if all(alike(one, other) < 1 for other in strengths[:place])]
    asked = {
        "code": [f"{S}|{one}" for one in codes],
        "name": names,
        "strength": strengths,
        **({"form": form} if form else {}),
    }
    assert matched(ask(server, **asked)) == expected(codes, names, amounts, form)
