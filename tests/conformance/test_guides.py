"""Two guides are met as they are published: their package is the content, and each thing that their CapabilityStatement
asks of a server is there, is asked on their examples, and finds what it must. What must be found is worked out from the
examples by another FHIRPath engine.

https://hl7.org/fhir/us/davinci-drug-formulary/STU2.0.1/CapabilityStatement-usdf-server.html and
https://build.fhir.org/ig/HL7/fhir-order-catalog/CapabilityStatement-cs-drug-custodian.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fhirpathpy
import pytest
from click.testing import CliRunner
from fhirpathpy.models import models

from apothecary.cli import main
from apothecary.content.sync import sync
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess
from tests.conformance.packages import resources_of

DATA = Path(__file__).parent.parent / "data"
FORMULARY = DATA / "hl7.fhir.us.davinci-drug-formulary-2.0.1.tgz"
CATALOG = DATA / "order-catalog"
JSON = {"Content-Type": "application/fhir+json"}
STRICT = {"Prefer": "handling=strict"}

# What is asked for and not offered; docs/guides.md says why.
LEFT_OUT = {
    "InsurancePlan: referencePolicy resolves",
    "Basic: referencePolicy resolves",
    "MedicationKnowledge: referencePolicy resolves",
    "Location: referencePolicy resolves",
}
# A parameter of the specification has the code, and looks at more than the guide's: that one is served.
WIDER = {("InsurancePlan", "name")}


@dataclass
class Guide:
    """What a guide publishes, by `Type/id`, and what it asks of a server."""

    path: Path
    version: FhirVersion
    statement: str
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def asked(self) -> dict[str, Any]:
        (rest,) = self.published[self.statement]["rest"]
        return dict(rest)

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {key.partition("/")[2]: one for key, one in self.published.items() if key.startswith(f"{kind}/")}

    def expression(self, kind: str, code: str, definition: str | None) -> str:
        """What a parameter of the guide, or of the specification, looks at."""
        own = [one for one in self.of_type("SearchParameter").values() if one["url"] == definition]
        if own and (kind, code) not in WIDER:
            return str(own[0]["expression"])
        return definitions(self.version).search_parameters(kind)[code].expression


def _formulary() -> Guide:
    guide = Guide(FORMULARY, FhirVersion.R4, "CapabilityStatement/usdf-server")
    for resource in resources_of(FORMULARY):
        guide.published[f"{resource['resourceType']}/{resource['id']}"] = resource
    for resource in resources_of(FORMULARY, "package/example"):
        guide.examples[f"{resource['resourceType']}/{resource['id']}"] = resource
    return guide


def _catalog() -> Guide:
    guide = Guide(CATALOG, FhirVersion.R5, "CapabilityStatement/cs-drug-custodian")
    for path in CATALOG.glob("*.json"):
        resource = json.loads(path.read_text())
        guide.published[f"{resource['resourceType']}/{resource['id']}"] = resource
        if "-example-" in path.name:
            guide.examples[f"{resource['resourceType']}/{resource['id']}"] = resource
    return guide


@cache
def guides() -> dict[str, Guide]:
    return {"formulary": _formulary(), "catalog": _catalog()}


class Place:
    """A guide, served as its publisher made it, with the settings that a server has by itself."""

    def __init__(self, guide: Guide, url: str) -> None:
        self.guide = guide
        settings = Settings(database=url, content=str(guide.path))
        self.store = open_store(settings)
        self.report = sync(settings, self.store)
        self.server = InProcess(settings, self.store)

    def get(self, query: str, release: FhirVersion | None = None) -> Answer:
        answer = self.server.ask("GET", f"/fhir/{(release or self.guide.version).segment}/{query}", STRICT)
        assert answer.status == 200, (query, answer.body)
        return answer

    def ids(self, query: str, release: FhirVersion | None = None) -> set[str]:
        return set(self.get(f"{query}&_count=200", release).ids)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON) -> Answer:
        return self.server.ask(method, f"/fhir/{self.guide.version.segment}/{path}", headers, json.dumps(body))


@pytest.fixture(params=["formulary", "catalog"])
def place(request: pytest.FixtureRequest, database_url: str) -> Iterator[Place]:
    found = Place(guides()[request.param], database_url)
    yield found
    found.store.close()


def values(guide: Guide, expression: str, resource: dict[str, Any]) -> list[Any]:
    model = models["r4" if guide.version is FhirVersion.R4 else "r5"]
    return list(fhirpathpy.evaluate(resource, expression, None, model))


def test_a_guide_is_met_as_it_is_published(place: Place) -> None:
    guide = place.guide
    assert place.report.created == len(guide.published)
    assert place.report.left_out == ()
    for key, resource in guide.published.items():
        shown = place.get(key).json
        assert {**shown, "meta": None} == {**resource, "meta": None}
    ours = place.get("metadata").json
    missing = set(_missing(guide, ours))
    assert missing == (LEFT_OUT if guide.path == FORMULARY else set())
    for wanted in guide.asked["resource"]:
        kind = wanted["type"]
        said = next(one for one in ours["rest"][0]["resource"] if one["type"] == kind)
        expected = _ask_parameters(place, kind, wanted, said)
        _ask_together(place, kind, expected)
        for code in [one["name"] for one in wanted.get("searchParam", ()) if one["type"] == "reference"]:
            _ask_includes(place, kind, code)
    _ask_profiles(place)
    for wanted in guide.asked["resource"]:
        _interact(place, wanted["type"], {one["code"] for one in wanted.get("interaction", ())})


def _missing(guide: Guide, ours: dict[str, Any]) -> Iterator[str]:
    """What the guide's statement has and ours has not."""
    asked, statement = guide.asked, guide.published[guide.statement]
    yield from (f"format {one}" for one in statement["format"] if one not in ours["format"])
    yield from (f"patchFormat {one}" for one in statement.get("patchFormat", ()) if one not in ours["patchFormat"])
    offered = {one["type"]: one for one in ours["rest"][0]["resource"]}
    for wanted in asked["resource"]:
        kind = wanted["type"]
        have = offered.get(kind)
        if have is None:
            yield kind
            continue
        for name in ("interaction", "searchParam", "operation"):
            key = "code" if name == "interaction" else "name"
            there = {one[key]: one for one in have.get(name, ())}
            for one in wanted.get(name, ()):
                if one[key] not in there or there[one[key]].get("type") != one.get("type"):
                    yield f"{kind}: {name} {one[key]}"
        for one in wanted.get("searchInclude", ()):
            code = one.removeprefix("iterate=")
            if code not in have["searchInclude"] and f"{kind}:{code}" not in have["searchInclude"]:
                yield f"{kind}: searchInclude {one}"
        for name in ("supportedProfile", "referencePolicy", "searchRevInclude"):
            yield from (f"{kind}: {name} {one}" for one in wanted.get(name, ()) if one not in have.get(name, ()))


Expected = dict[str, dict[str, set[str]]]
"""By parameter and what is asked of it, the ids that must be found."""


def _ask_parameters(place: Place, kind: str, wanted: dict[str, Any], said: dict[str, Any]) -> Expected:
    """Ask by each parameter, in each way, for each value of the examples, in each release that has the type."""
    expected: Expected = {}
    there = place.guide.of_type(kind)
    for parameter in wanted.get("searchParam", ()):
        code, sort = parameter["name"], parameter["type"]
        if code == "_id":
            expected[code] = {f"={identity}": {identity} for identity in there}
        elif code == "_lastUpdated":
            # When they were stored is the server's to say.
            expected[code] = {"=gt2020-01-01": set(there), "=lt2020-01-01": set()}
        else:
            definition = next(one for one in said["searchParam"] if one["name"] == code)["definition"]
            published = definitions(place.guide.version).search_parameters(kind)
            same = definition == parameter.get("definition") or definition == published[code].url
            assert same or (kind, code) in WIDER
            expression = place.guide.expression(kind, code, parameter.get("definition"))
            found = {one: values(place.guide, expression, resource) for one, resource in there.items()}
            expected[code] = _expected(sort, found)
    for code, questions in expected.items():
        assert questions, (kind, code)
        for question, ids in questions.items():
            for release in FhirVersion:
                assert place.ids(f"{kind}?{code}{question}", release) == ids, (release, kind, code, question)
    return expected


def _expected(sort: str, found: dict[str, list[Any]]) -> dict[str, set[str]]:
    """What may be asked of a parameter, and who must be found; `found` are its values by id."""
    questions: dict[str, set[str]] = {
        ":missing=false": {one for one, some in found.items() if some},
        ":missing=true": {one for one, some in found.items() if not some},
    }
    for identity, some in found.items():
        for value in some:
            if sort == "token":
                for system, code in _codes(value):
                    questions.setdefault(f"={code}", set()).add(identity)
                    # A plain code has a system that it does not name.
                    if system or isinstance(value, dict):
                        questions.setdefault(f"={quote(f'{system}|{code}')}", set()).add(identity)
                    if system:
                        questions.setdefault(f"={quote(f'{system}|')}", set()).add(identity)
            elif sort == "reference":
                literal = value["reference"]
                for text in (literal, literal.rpartition("/")[2], f"http://localhost/fhir/r4/{literal}"):
                    questions.setdefault(f"={quote(text, safe='/:')}", set()).add(identity)
                target, _, its = literal.rpartition("/")
                questions.setdefault(f":{target}._id={its}", set()).add(identity)
    everything = {one: [text for value in some for text in _texts(value)] for one, some in found.items()}
    for text in {value for some in everything.values() for value in some} if sort == "string" else ():
        beginning, middle = text[:4].upper(), text[1:6]
        for modifier, asked, meets in (
            ("", beginning, lambda value, asked: value.casefold().startswith(asked.casefold())),
            (":exact", text, str.__eq__),
            (":contains", middle, lambda value, asked: asked.casefold() in value.casefold()),
        ):
            escaped = quote(asked.replace(",", "\\,"), safe="")
            ids = {one for one, some in everything.items() if any(meets(value, asked) for value in some)}
            questions[f"{modifier}={escaped}"] = ids
    if sort == "date":
        questions |= _expected_dates({one: [_span(value) for value in some] for one, some in found.items()})
    return questions


def _texts(value: Any) -> Iterator[str]:
    """A string, or those of an Address."""
    if not isinstance(value, dict):
        yield str(value)
        return
    for name in ("text", "line", "city", "district", "state", "postalCode", "country"):
        part = value.get(name, ())
        yield from [part] if isinstance(part, str) else part


def _codes(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield "", str(value)
        return
    for one in value.get("coding", [value]):
        yield one.get("system", ""), one.get("code", one.get("value"))


def _span(value: Any) -> tuple[date, date]:
    """The days of a date or a Period."""
    low, high = (value, value) if isinstance(value, str) else (value.get("start"), value.get("end"))
    return (date.fromisoformat(low[:10]) if low else date.min, date.fromisoformat(high[:10]) if high else date.max)


def _expected_dates(spans: dict[str, list[tuple[date, date]]]) -> dict[str, set[str]]:
    """The days before and after each end, asked for with each prefix: https://hl7.org/fhir/R5/search.html#prefix"""
    ends = {end for some in spans.values() for span in some for end in span if end not in (date.min, date.max)}
    questions = {}
    for day in {end + timedelta(days) for end in ends for days in (-1, 1)}:
        for prefixes, meets in (
            (("gt", "ge"), lambda low, high, day: high > day),
            (("lt", "le"), lambda low, high, day: low < day),
            (("sa",), lambda low, high, day: low > day),
            (("eb",), lambda low, high, day: high < day),
            (("", "eq"), lambda low, high, day: low == high == day),
        ):
            ids = {one for one, some in spans.items() if any(meets(low, high, day) for low, high in some)}
            questions |= {f"={prefix}{day}": ids for prefix in prefixes}
    return questions


def _ask_together(place: Place, kind: str, expected: Expected) -> None:
    """Ask for each example by one question of each of its parameters at once."""
    for identity in place.guide.of_type(kind):
        asked, ids = [], None
        for code, questions in expected.items():
            question = next((one for one, found in questions.items() if identity in found and ":" not in one[:1]), None)
            if question is not None:
                asked.append(f"{code}{question}")
                ids = questions[question] if ids is None else ids & questions[question]
        assert len(asked) > 1
        assert place.ids(f"{kind}?{'&'.join(asked)}") == ids


def _ask_includes(place: Place, kind: str, code: str) -> None:
    """What is pointed to is included, and who points to it."""
    guide = place.guide
    parameter = next(
        one for one in guide.of_type("SearchParameter").values() if one["code"] == code and kind in one["base"]
    )
    pairs = {
        (f"{kind}/{identity}", value["reference"])
        for identity, resource in guide.of_type(kind).items()
        for value in values(guide, parameter["expression"], resource)
    }
    targets = {target for _, target in pairs if target in guide.published}
    assert targets
    assert _included(place, f"{kind}?_include={kind}:{code}") == {
        one for one in targets if not one.startswith(f"{kind}/")
    }
    for target in targets:
        sources = {source for source, one in pairs if one == target}
        its, _, identity = target.partition("/")
        found = _included(place, f"{its}?_id={identity}&_revinclude={kind}:{code}")
        assert found == sources
        assert place.ids(f"{its}?_has:{kind}:{code}:_id={','.join(one.partition('/')[2] for one in sources)}") >= {
            identity
        }


def _included(place: Place, query: str) -> set[str]:
    entries = place.get(f"{query}&_count=200").json.get("entry", ())
    found = (one["resource"] for one in entries if one["search"]["mode"] == "include")
    return {f"{one['resourceType']}/{one['id']}" for one in found}


def _ask_profiles(place: Place) -> None:
    """Examples are valid against each profile that they claim, and are found by it."""
    claims: dict[tuple[str, str], set[str]] = {}
    for key, resource in place.guide.examples.items():
        kind, _, identity = key.partition("/")
        for url in resource.get("meta", {}).get("profile", ()):
            claims.setdefault((kind, url), set()).add(identity)
    known = {one["url"] for one in place.guide.of_type("StructureDefinition").values()}
    assert {url for _, url in claims} & known
    for (kind, url), ids in claims.items():
        assert place.ids(f"{kind}?_profile={quote(url)}") == ids
        for identity in sorted(ids) if url in known else ():
            outcome = place.ask("GET", f"{kind}/{identity}/$validate?profile={quote(url)}").json
            assert [one for one in outcome["issue"] if one["severity"] in ("error", "fatal")] == []


def _interact(place: Place, kind: str, codes: set[str]) -> None:
    """Each interaction, on a copy of an example."""
    identity, example = next(iter(place.guide.of_type(kind).items()))
    done = {"search-type", "read"}
    assert place.ask("GET", f"{kind}/{identity}/_history/1").status == 200
    done.add("vread")
    if "create" in codes:
        created = place.ask("POST", kind, {name: value for name, value in example.items() if name != "id"})
        assert created.status == 201, created.body
        assert place.ask("PUT", f"{kind}/copy", {**example, "id": "copy"}).status == 201
        changed = place.ask("PUT", f"{kind}/copy", {**example, "id": "copy", "language": "de"})
        assert (changed.status, changed.json["language"]) == (200, "de")
        patch = [{"op": "replace", "path": "/language", "value": "fr"}]
        patched = place.ask("PATCH", f"{kind}/copy", patch, {"Content-Type": "application/json-patch+json"})
        assert (patched.status, patched.json["language"]) == (200, "fr")
        assert place.ask("DELETE", f"{kind}/copy").status == 204
        assert place.ask("GET", f"{kind}/copy").status == 410
        assert len(place.ask("GET", f"{kind}/copy/_history").json["entry"]) == 4
        assert len(place.ask("GET", f"{kind}/_history?_count=200").json["entry"]) == len(place.guide.of_type(kind)) + 5
        done |= {"create", "update", "patch", "delete", "history-instance", "history-type"}
    assert codes <= done


@pytest.mark.parametrize("name", ["formulary", "catalog"])
def test_no_example_of_a_guide_is_refused_by_its_own_package(name: str) -> None:
    path = str(guides()[name].path)
    checked = CliRunner().invoke(main, ["validate", path, "--package", path, "--no-references", "--format", "json"])
    report = json.loads(checked.stdout)
    assert [one for one in report["findings"] if one["severity"] in ("error", "fatal")] == []
    assert checked.exit_code == 0
    # They were held to the profiles that they claim, in the release of the guide.
    examples = {key for key, one in guides()[name].examples.items() if one.get("meta", {}).get("profile")}
    against = {one["resource"]: one["profiles"] for one in report["checked"] if one["resource"] in examples}
    assert against.keys() == examples
    assert any(against.values())
    assert {one["fhirVersion"] for one in report["checked"]} == {str(guides()[name].version)}
