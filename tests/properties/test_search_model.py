"""The index answers as a look at every resource would: random resources, random queries, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, cycle
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from apothecary.versions import convert, convertible
from tests.conformance.harness import BASE, InProcess
from tests.conformance.walk import forwards
from tests.mass import much
from tests.properties.search_model import (
    GENDER,
    PARAMETERS,
    UCUM,
    Chain,
    Criterion,
    Plain,
    Reverse,
    Value,
    find,
    with_contained,
)

pytestmark = [pytest.mark.slow, pytest.mark.mass]

PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
KINDS = "http://terminology.hl7.org/CodeSystem/v2-0203"
one_of = st.sampled_from

# Few words, so that queries meet resources; unlike in case, accents, punctuation, systems, precision and what must be
# escaped.
SYSTEMS = ("", RXNORM, GENDER)
CODES = ("723", "Ab", "aB", "a,b|c$d\\e")
TEXTS = ("Amoxicillin", "amoxi  Forte", "Ämoxi", "Ibuprofen", "100%_\\", "Łæm O'Moxi/1.5", "laemomoxi 15")
DATES = ("2026", "2026-05", "2026-05-11", "2026-05-11T11:28:30Z", "2026-05-11T13:28:30+02:00", "2027-01", "2025-12-31")
NUMBERS = ("5", "5.0", "5.4", "5.40", "5400", "0.0054", "-5", "0", "100")
URIS = (
    "http://ex.org/a",
    "http://ex.org/a/b",
    "http://ex.org/a/b/",
    "http://ex.org/ab",
    "http://ex.org/A",
    "urn:oid:1.2",
)
IDS = ("a", "b", "c", "d")
INSIDE = ("m1", "m2", "o1")


def objects(required: dict[str, Any] | None = None, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required or {}, optional=optional)


def lists(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, min_size=1, max_size=most)


def references(*types: str) -> st.SearchStrategy[dict[str, Any]]:
    named = st.builds(lambda kind, identity: f"{kind}/{identity}", one_of(types), one_of(IDS))
    inside = one_of([f"#{one}" for one in INSIDE])
    return objects({"reference": named | inside}, display=one_of(TEXTS)) | objects(
        {"identifier": objects({"value": one_of(CODES)}, system=one_of(SYSTEMS[1:]))}
    )


def containing(kinds: Mapping[str, str], content: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """`content` with contained resources beside it, or with none: types by their ids."""
    made = {one: st.none() | RESOURCES[kind] for one, kind in kinds.items()}

    def nest(inside: dict[str, Any], outside: dict[str, Any]) -> dict[str, Any]:
        found = [{"resourceType": kinds[one], "id": one, **inner} for one, inner in inside.items() if inner is not None]
        return {"contained": found, **outside} if found else outside

    return st.builds(nest, st.fixed_dictionaries(made), content)


codings = objects({"code": one_of(CODES)}, system=one_of(SYSTEMS[1:]), display=one_of(TEXTS))
concepts = objects({"coding": lists(codings)}, text=one_of(TEXTS)) | objects({"text": one_of(TEXTS)})
identifiers = objects(
    {"value": one_of(CODES)},
    system=one_of(SYSTEMS[1:]),
    type=objects({"coding": lists(objects({"system": st.just(KINDS), "code": one_of(("MR", "TAX"))}), 1)}),
)
decimals = one_of(("5", "5.4", "5400", "0")).map(float)
quantities = (
    objects({"value": decimals, "system": st.just(UCUM), "code": one_of(("mg", "ug", "g"))}, comparator=one_of("<>"))
    | objects({"value": decimals, "unit": one_of(("mg", "spoon"))})
    | objects({"value": decimals})
)
periods = (
    objects(start=one_of(DATES[:3]), end=one_of(DATES[2:]))
    .filter(bool)
    .filter(lambda one: len(one) == 1 or one["end"] >= "2026-05-11")
)
components = objects({"code": concepts}, valueQuantity=quantities)
RESOURCES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "Medication": objects(
        status=one_of(("active", "inactive", "entered-in-error")),
        code=concepts,
        identifier=lists(identifiers),
        batch=objects({"expirationDate": one_of(DATES)}),
        ingredient=lists(
            objects({"item": objects({"concept": concepts}) | objects({"reference": references("Medication")})})
        ),
        marketingAuthorizationHolder=references("Organization"),
    ),
    "MedicationKnowledge": objects(
        code=concepts,
        packaging=lists(
            objects(
                {
                    "cost": lists(
                        objects({"costMoney": objects({"value": decimals, "currency": one_of(("USD", "EUR"))})})
                    )
                }
            )
        ),
    ),
    "ClinicalUseDefinition": objects(
        {"type": one_of(("indication", "warning"))}, subject=lists(references("Medication"))
    ),
    "Organization": objects(
        name=one_of(TEXTS), alias=lists(one_of(TEXTS)), active=st.booleans(), partOf=references("Organization")
    ),
    "Observation": objects({"code": concepts}, valueQuantity=quantities, component=lists(components))
    | objects({"code": concepts}, effectiveDateTime=one_of(DATES))
    | objects({"code": concepts}, effectivePeriod=periods),
    "CodeSystem": objects(url=one_of(URIS), title=one_of(TEXTS)),
    "RiskAssessment": objects(prediction=lists(objects({"probabilityDecimal": decimals}))),
}
CONTAINERS = {
    "ClinicalUseDefinition": {"m1": "Medication", "m2": "Medication", "o1": "Organization"},
    "Organization": {"o1": "Organization"},
    "Medication": {"m1": "Medication", "o1": "Organization"},
}
RESOURCES |= {kind: containing(inside, RESOURCES[kind]) for kind, inside in dict(CONTAINERS).items()}
worlds = st.fixed_dictionaries({f"{kind}/{one}": st.none() | made for kind, made in RESOURCES.items() for one in IDS})

# -- queries

bare = st.builds(lambda code: Value((code,)), one_of((*CODES, "active", "true", "indication")))
exact = st.builds(lambda system, code: Value((system, code)), one_of(SYSTEMS), one_of((*CODES, "ab")))
words = one_of((*TEXTS, "amo", "AMOXI", "oxi", "forte", "0%")).map(lambda text: Value((text,)))
# From one letter on, across words, and where there was punctuation.
parts = one_of(
    ("x", "æ", "mo", "5", "in", "ox", "M  O", "oxicil", "i for", "em o", "Moxi/1", "1.5", "moxi 15", "profen")
).map(lambda text: Value((text,)))
units = one_of(
    ((), ("", "mg"), ("", "spoon"), (UCUM, "mg"), (UCUM, "ug"), (UCUM, "g"), ("urn:iso:std:iso:4217", "USD"))
)
amounts = st.builds(
    lambda number, unit, prefix: Value((number, *unit), prefix), one_of(NUMBERS), units, one_of((*PREFIXES, "ap"))
)
moments = st.builds(lambda text, prefix: Value((text,), prefix), one_of(DATES), one_of(PREFIXES))
VALUES: dict[tuple[str, str], st.SearchStrategy[Value]] = {
    ("token", ""): bare | exact | st.builds(lambda system: Value((system, "")), one_of(SYSTEMS[1:])),
    ("token", "not"): bare | exact,
    ("token", "text"): words,
    ("token", "code-text"): one_of(("a", "AB", "7", "act", "x")).map(lambda text: Value((text,))),
    ("string", ""): words,
    ("string", "exact"): words,
    ("string", "contains"): words | parts,
    ("uri", ""): one_of(URIS).map(lambda one: Value((one,))),
    ("uri", "below"): one_of((*URIS, "http://ex.org/")).map(lambda one: Value((one,))),
    ("uri", "above"): one_of((*URIS, "http://ex.org/a/b/c")).map(lambda one: Value((one,))),
    ("uri", "contains"): one_of(("ex", "/a", "B", "b/", "org/a", "n:oid:1.2", "*")).map(lambda one: Value((one,))),
    ("date", ""): moments,
    ("number", ""): st.builds(
        lambda number, prefix: Value((number,), prefix), one_of(NUMBERS), one_of((*PREFIXES, "ap"))
    ),
    ("quantity", ""): amounts,
    ("reference", "identifier"): bare | exact,
    ("reference", "text"): words,
}
IDENTIFIED = {
    ("token", "of-type"): st.builds(
        lambda kind, value: Value((KINDS, kind, value)), one_of(("MR", "TAX")), one_of((*CODES, "ab"))
    )
}
POINTS_TO = {
    ("Medication", "ingredient"): "Medication",
    ("Medication", "marketingauthorizationholder"): "Organization",
    ("ClinicalUseDefinition", "subject"): "Medication",
    ("Organization", "partof"): "Organization",
}
SORTABLE = {
    "Medication": ("status", "expiration-date"),
    "Organization": ("name", "active"),
    "Observation": ("date",),
    "CodeSystem": ("title",),
    "RiskAssessment": ("probability",),
    "ClinicalUseDefinition": ("type",),
    "MedicationKnowledge": (),
}


@st.composite
def plain(draw: st.DrawFn, resource_type: str) -> Plain:
    code = draw(one_of(sorted(PARAMETERS[resource_type])))
    parameter = PARAMETERS[resource_type][code]
    if draw(st.integers(0, 5)) == 0:
        return Plain(code, "missing", ((Value((draw(one_of(("true", "false"))),)),),))
    if parameter.components:
        # Often a code and an amount that stand on different elements: that is what a composite is for.
        codes = one_of(CODES[:2]).map(lambda one: Value((one,)))
        parts = st.tuples(codes, amounts | one_of(("5", "5.4", "0")).map(lambda one: Value((one,))))
        return Plain(code, "", tuple(draw(lists(parts))))
    known = VALUES | IDENTIFIED if code == "identifier" else VALUES
    choices = {modifier: made for (kind, modifier), made in known.items() if kind == parameter.type}
    if parameter.type == "reference":
        target = POINTS_TO[resource_type, code]
        choices[target] = one_of(IDS).map(lambda one: Value((one,)))
        choices[""] = choices[target] | one_of(IDS).map(lambda one: Value((f"{target}/{one}",)))
    modifier = draw(one_of(sorted(choices)))
    return Plain(code, modifier, tuple((one,) for one in draw(lists(choices[modifier]))))


@st.composite
def criteria(draw: st.DrawFn, resource_type: str, depth: int = 2) -> Criterion:
    forwards_ = [(code, target) for (kind, code), target in POINTS_TO.items() if kind == resource_type]
    backwards_ = [(kind, code) for (kind, code), target in POINTS_TO.items() if target == resource_type]
    way = draw(st.integers(0, 5)) if depth else 0
    if way == 4 and forwards_:
        code, target = draw(one_of(forwards_))
        return Chain(code, target, draw(criteria(target, depth - 1)))
    if way == 5 and backwards_:
        source, code = draw(one_of(backwards_))
        return Reverse(source, code, draw(criteria(source, depth - 1)))
    return draw(plain(resource_type))


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, list[Criterion], list[tuple[str, bool]], int, str, str]:
    resource_type = draw(one_of(sorted(RESOURCES)))
    asked = draw(lists(criteria(resource_type)))
    codes = draw(st.lists(one_of(SORTABLE[resource_type]), unique=True)) if SORTABLE[resource_type] else []
    sort = [(code, draw(st.booleans())) for code in codes]
    contained, returned = draw(one_of(("false", "false", "true", "both"))), draw(one_of(("container", "contained")))
    if contained != "false" and returned == "container":
        sort = []  # the parameters of the containers, which the model has no such thing for
    return resource_type, asked, sort, draw(st.integers(1, 4)), contained, returned


# With the real limits a small world is searched from its smallest part; with these along every walk that there is, or
# from what two parts have in common when a walk was tried, and many values are a list.
_MUCH = {"plan.FEW": 1, "plan.FEW_LINKED": 1, "plan.VERY_FEW": 0}
LIMITS = {
    "few": {},
    "walked": {**_MUCH, "plan.MANY": 1, "plan.MOST": 1},
    "tried": {**_MUCH, "plan.TRIED": 0, "plan.TRIED_FOR_A_HIT": 1, "rewriting.ALTERNATIVES": 1},
}


@pytest.mark.parametrize("limits", LIMITS)
def test_the_index_finds_what_a_look_at_every_resource_finds(
    database_url: str, limits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in LIMITS[limits].items():
        monkeypatch.setattr(f"apothecary.store.{name}", value)
    chosen = Settings(database=database_url, content="", resource_types=",".join(RESOURCES), durability="normal")
    store = open_store(chosen)
    live = InProcess(chosen, store)
    registry = live.service.registry(chosen.fhir_version)
    versions = count(1)

    # The resources of one example replace those of the one before: updates and deletions must leave no rows behind.
    # Each is written in some release: what is found does not depend on it.
    @given(
        world=worlds,
        releases=st.lists(one_of(list(FhirVersion)), min_size=7, max_size=7),
        asked=st.lists(searches(), min_size=30, max_size=30),
    )
    @settings(max_examples=much(5, 35), deadline=None)
    def check(world: dict[str, dict[str, Any] | None], releases: list[FhirVersion], asked: list[Any]) -> None:
        version = next(versions)
        with store.transaction() as transaction:
            for (key, content), wished in zip(world.items(), cycle(releases), strict=False):
                kind, _, identity = key.partition("/")
                written = wished if convertible(kind, FhirVersion.R5, wished) else FhirVersion.R5
                body, rows, method = None, [], "DELETE"
                if content is not None:
                    resource = {"resourceType": kind, "id": identity, **content}
                    form = convert(resource, FhirVersion.R5, written).resource
                    body, rows, method = dumps(form), registry.rows(form, written), "PUT"
                transaction.write(Stored(kind, identity, version, version * 1000, written, body), method, rows)
        held = with_contained({key: content for key, content in world.items() if content is not None})
        for resource_type, wanted, sort, size, contained, returned in asked:
            parts = [f"{quote(one.name(), safe=':')}={quote(one.written(), safe='')}" for one in wanted]
            if sort:
                parts.append("_sort=" + ",".join(f"-{code}" if down else code for code, down in sort))
            if contained != "false":
                parts += [f"_contained={contained}", f"_containedType={returned}"]
            pages = forwards(live, f"{BASE}/{resource_type}?{'&'.join(parts)}&_count={size}&_total=accurate")
            expected = find(held, resource_type, wanted, sort, contained, returned)
            entries = [one for page in pages for one in page.json.get("entry", ()) if one["search"]["mode"] == "match"]
            assert [one["fullUrl"].partition(f"{BASE}/")[2] for one in entries] == expected, (parts, held)
            assert pages[0].json["total"] == len(expected), (parts, held)
            ignored = [one for one in pages[0].json.get("entry", ()) if one["search"]["mode"] == "outcome"]
            assert not ignored or not expected, (parts, ignored)

    try:
        check()
    finally:
        store.close()
