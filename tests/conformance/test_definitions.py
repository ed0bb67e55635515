"""Definitions that are written while a server runs: https://hl7.org/fhir/R5/searchparameter.html"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from click.testing import CliRunner
from fhirpathpy.models import models

from apothecary.cli import main
from apothecary.content.definitions import INDEXED, serving
from apothecary.content.indexing import BATCH, Indexing, progress
from apothecary.content.sync import sync
from apothecary.content.xml_write import resource_xml
from apothecary.errors import Busy
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search.named import CRITERIA
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess
from tests.conformance.packages import resources_of
from tests.defined import COLOUR
from tests.waiting import until

GUIDE = Path(__file__).parent.parent / "data" / "hl7.fhir.us.davinci-drug-formulary-2.0.1.tgz"
JSON = {"Content-Type": "application/fhir+json"}
STRICT = {"Prefer": "handling=strict"}
SERVED = (
    "Medication,MedicationKnowledge,Organization,Ingredient,Basic,InsurancePlan,SearchParameter,OperationDefinition"
)

R4_COLOUR = {name: value for name, value in COLOUR.items() if name != "processingMode"}
R4_COLOUR |= {"id": "r4-colour", "expression": "Medication.form"}
RED = {"coding": [{"system": "http://ex.org", "code": "red"}]}


class Place:
    """A store, and as many servers on it as a test wants."""

    def __init__(self, url: str) -> None:
        self.settings = Settings(database=url, content="", resource_types=SERVED, references="allowed")
        self.store = open_store(self.settings)
        sync(self.settings, self.store)

    def server(self) -> InProcess:
        return InProcess(self.settings, self.store)

    def complete(self) -> bool:
        return not serving(self.settings, self.store).incomplete


@pytest.fixture
def place(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # Indexing is done when a test says so, unless it lets the threads do it.
    monkeypatch.setattr(Indexing, "wake", lambda self: None)
    place = Place(emptied_url)
    yield place
    place.store.close()


def put(server: InProcess, resource: dict[str, Any], release: str = "r5") -> Answer:
    name = f"{resource['resourceType']}/{resource['id']}"
    return server.ask("PUT", f"/fhir/{release}/{name}", JSON, json.dumps(resource))


def ids(server: InProcess, query: str, release: str = "r5") -> list[str]:
    answer = server.ask("GET", f"/fhir/{release}/{query}", STRICT)
    assert answer.status == 200, answer.body
    return sorted(answer.ids)


def red(name: str) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": name, "doseForm": RED}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an expression that leads nowhere": ({"expression": "Medication.nothing"}, "nothing"),
    "an expression that cannot be read": ({"expression": "Medication.where("}, "Medication.where"),
    "a pattern that cannot be read": (
        {"expression": "Medication.where(id.matches('('))"},
        "not evaluated as a regular expression",
    ),
    "an expression of another type": ({"expression": "Patient.name"}, "Patient"),
    "a type that cannot read it": ({"type": "date"}, "cannot read CodeableConcept"),
    "no expression": ({"expression": None, "processingMode": None}, "needs an expression"),
    "special": ({"type": "special"}, "a special parameter cannot read CodeableConcept"),
    "the code of the specification's": ({"code": "status"}, "has 'status' already"),
    "a code that is a control": ({"code": "_count"}, "cannot be asked by"),
    "a code with a modifier in it": ({"code": "a:b"}, "cannot be asked by"),
    "a composite of one": ({"type": "composite", "component": [{"definition": "x", "expression": "$this"}]}, "two"),
    "a component that leads nowhere": (
        {"type": "composite", "component": [{"definition": "x", "expression": "no"}] * 2},
        "no element 'no'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_not_be_served_is_refused_in_every_way_of_writing(place: Place, name: str) -> None:
    changes, reason = REFUSED[name]
    bad = {key: value for key, value in (COLOUR | changes).items() if value is not None}
    server = place.server()
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": bad, "request": {"method": "PUT", "url": "SearchParameter/colour"}}],
    }
    answers = [
        put(server, bad),
        server.ask("POST", "/fhir/r5/SearchParameter", JSON, json.dumps(bad)),
        server.ask("PUT", "/fhir/r5/SearchParameter?url=http://ex.org/colour", JSON, json.dumps(bad)),
        server.ask("POST", "/fhir/r5", JSON, json.dumps(bundle)),
    ]
    for answer in answers:
        assert (answer.status, reason in answer.body.decode()) == (422, True), answer.body
    batch = server.ask("POST", "/fhir/r5", JSON, json.dumps(bundle | {"type": "batch"}))
    assert batch.json["entry"][0]["response"]["status"].startswith("422")
    told = server.ask("POST", "/fhir/r5/SearchParameter/$validate", JSON, json.dumps(bad))
    assert reason in told.body.decode()
    assert list(place.store.all_of_type("SearchParameter")) == []
    assert put(server, COLOUR).status == 201
    patch = [{"op": "add", "path": f"/{key}", "value": value} for key, value in changes.items() if value is not None]
    if patch:
        patched = server.ask(
            "PATCH",
            "/fhir/r5/SearchParameter/colour",
            {"Content-Type": "application/json-patch+json"},
            json.dumps(patch),
        )
        assert patched.status == 422


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_stored_and_cannot_be_served_keeps_no_server_from_starting(
    place: Place, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, reason = REFUSED[name]
    bad = {key: value for key, value in (COLOUR | changes).items() if value is not None}
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(bad))
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", SERVED)
    done = CliRunner().invoke(main, ["load", "--database", place.settings.database, "--no-validate", str(file)])
    assert (done.exit_code, reason in done.stderr) == (0, True)
    sync(place.settings, place.store)
    server = place.server()
    assert put(server, red("m")).status == 201
    told = server.ask("GET", "/fhir/r5/metadata")
    assert (told.status, reason in told.json["rest"][0]["documentation"]) == (200, True)
    told = server.ask("GET", "/fhir/r5/SearchParameter/colour/$validate")
    assert reason in told.body.decode()


def test_two_definitions_of_one_code_are_refused_and_the_other_is_named(place: Place) -> None:
    server = place.server()
    assert put(server, COLOUR).status == 201
    answer = put(server, COLOUR | {"id": "other", "url": "http://ex.org/other"})
    assert (answer.status, "http://ex.org/colour" in answer.body.decode()) == (422, True)


@pytest.mark.parametrize(("written", "definition"), [("r4", R4_COLOUR), ("r4b", R4_COLOUR), ("r5", COLOUR)])
def test_a_parameter_is_read_in_its_release_and_serves_all_that_have_the_value(
    place: Place, written: str, definition: dict[str, Any]
) -> None:
    server = place.server()
    assert put(server, red("before")).status == 201
    answer = put(server, definition, written)
    assert answer.status == 201, answer.body
    assert put(server, red("after")).status == 201
    assert put(server, {"resourceType": "Medication", "id": "r4", "form": RED}, "r4").status == 201
    assert Indexing(place.settings, place.store).run()
    for release in ("r4", "r4b", "r5"):
        assert ids(server, "Medication?colour=red", release) == ["after", "before", "r4"]
        assert ids(server, "Medication?colour:missing=true", release) == []


def test_it_works_at_once_and_until_the_old_are_indexed_no_answer_hides_that(place: Place) -> None:
    first, second = place.server(), place.server()
    put(first, red("old"))
    assert put(first, COLOUR).status == 201
    for server in (first, second):
        lenient = server.ask("GET", "/fhir/r5/Medication?colour=red")
        assert (lenient.status, "being made" in lenient.body.decode()) == (200, True)
        strict = server.ask("GET", "/fhir/r5/Medication?colour=red", STRICT)
        assert (strict.status, "retry-after" in strict.headers) == (503, True)
        for query in ("Medication?_sort=colour", "Medication?colour:missing=true"):
            assert server.ask("GET", f"/fhir/r5/{query}", STRICT).status == 503
        headers = JSON | {"If-None-Exist": "colour=red"}
        body = json.dumps({"resourceType": "Medication", "doseForm": RED})
        assert server.ask("POST", "/fhir/r5/Medication", headers, body).status == 503
        told = server.ask("GET", "/fhir/r5/metadata").json["rest"][0]["documentation"]
        assert "incomplete for Medication?colour" in told
        assert ids(server, "Medication?_id=old") == ["old"]
    put(second, red("new"))
    assert Indexing(place.settings, place.store).run()
    for server in (first, second):
        assert ids(server, "Medication?colour=red") == ["new", "old"]
        assert "incomplete" not in server.ask("GET", "/fhir/r5/metadata").json["rest"][0]["documentation"]


def test_deleting_one_takes_it_away_and_bringing_it_back_does_not_trust_the_old_rows(place: Place) -> None:
    first, second = place.server(), place.server()
    put(first, COLOUR)
    Indexing(place.settings, place.store).run()
    assert first.ask("DELETE", "/fhir/r5/SearchParameter/colour").status == 204
    assert second.ask("GET", "/fhir/r5/Medication?colour=red", STRICT).status == 400
    put(second, red("between"))
    assert put(first, COLOUR).status == 201
    assert second.ask("GET", "/fhir/r5/Medication?colour=red", STRICT).status == 503
    Indexing(place.settings, place.store).run()
    assert ids(second, "Medication?colour=red") == ["between"]
    assert put(first, COLOUR | {"status": "retired"}).status == 200
    assert second.ask("GET", "/fhir/r5/Medication?colour=red", STRICT).status == 400


def test_a_named_query_works_at_once_and_one_without_criteria_is_refused(place: Place) -> None:
    first, second = place.server(), place.server()
    put(first, red("m"))
    query = {
        "resourceType": "OperationDefinition",
        "id": "by-id",
        "url": "http://ex.org/by-id",
        "name": "ById",
        "status": "active",
        "kind": "query",
        "code": "by-id",
        "resource": ["Medication"],
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [
            {"name": "it", "use": "in", "min": 1, "max": "1", "type": "string", "searchType": "token"},
            {"name": "result", "use": "out", "min": 1, "max": "1", "type": "Bundle"},
        ],
    }
    assert put(first, query).status == 422
    assert put(first, query | {"extension": [{"url": CRITERIA, "valueString": "_id={it}"}]}).status == 201
    assert ids(second, "Medication?_query=by-id&it=m") == ["m"]
    assert first.ask("DELETE", "/fhir/r5/OperationDefinition/by-id").status == 204
    assert second.ask("GET", "/fhir/r5/Medication?_query=by-id&it=m", STRICT).status == 400


def test_writes_go_on_while_the_index_is_made(place: Place) -> None:
    server = place.server()
    for number in range(300):
        put(server, red(f"old{number}"))
    put(server, COLOUR)
    indexing = Indexing(place.settings, place.store)
    work = threading.Thread(target=indexing.run)
    work.start()
    statuses = {put(server, red(f"old{number}")).status for number in range(0, 300, 3)}
    statuses |= {put(server, red(f"new{number}")).status for number in range(100)}
    work.join()
    # Where others write to the same rows it gives way, and goes on later.
    assert until(indexing.run)
    assert statuses <= {200, 201}
    assert server.ask("GET", "/fhir/r5/Medication?colour=red&_summary=count", STRICT).json["total"] == 400


def test_a_composite_is_served_by_the_definitions_or_the_elements_of_its_components(place: Place) -> None:
    server = place.server()
    strength = {"presentationRatio": {"numerator": {"value": 5, "unit": "mg"}, "denominator": {"value": 2}}}
    code = {"concept": {"text": "x"}}
    ingredient = {"resourceType": "Ingredient", "id": "i", "status": "active", "role": {"text": "active"}}
    put(server, ingredient | {"substance": {"code": code, "strength": [strength]}})
    parts = [
        {"definition": f"http://ex.org/{name}", "expression": f"presentation.{name}"}
        for name in ("numerator", "denominator")
    ]
    ratio = {"base": ["Ingredient"], "type": "composite", "expression": "Ingredient.substance.strength"}
    assert put(server, COLOUR | ratio | {"code": "ratio", "component": parts}).status == 201
    Indexing(place.settings, place.store).run()
    assert ids(server, "Ingredient?ratio=5$2") == ["i"]
    assert ids(server, "Ingredient?ratio=2$5") == []


@pytest.mark.slow
def test_ten_thousand_resources_are_indexed_on_from_where_another_process_was_killed(place: Place) -> None:
    server = place.server()
    for start in range(0, 10_000, 1000):
        entries = [
            {"resource": red(f"m{number:05}"), "request": {"method": "PUT", "url": f"Medication/m{number:05}"}}
            for number in range(start, start + 1000)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert server.ask("POST", "/fhir/r5", JSON, json.dumps(bundle)).status == 200
    put(server, COLOUR)

    class Killed(BaseException):
        pass

    class Dying(Indexing):
        """Ends as a killed process does, in the middle of a transaction."""

        begun = 0

        def _hold(self, *given: Any) -> None:
            super()._hold(*given)
            self.begun += 1
            if self.begun == 30:
                raise Killed

    with pytest.raises(Killed):
        Dying(place.settings, place.store, seconds=3600).run()
    generation = serving(place.settings, place.store).generation
    done = progress(place.store, generation).done
    assert 28 * BATCH <= done < 10_000
    # The lease of the dead one holds until it has run out.
    assert not Indexing(place.settings, place.store).run()
    assert not place.complete()
    place.store.write(lambda t: t.set_state("indexing lease", ""))
    assert Indexing(place.settings, place.store).run()
    assert place.complete()
    assert ids(server, "Medication?colour=red&_summary=count") == []
    assert server.ask("GET", "/fhir/r5/Medication?colour=red&_summary=count").json["total"] == 10_000


def test_indexing_gives_way_to_other_writers_and_goes_on_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server = place.server()
    put(server, red("m"))
    put(server, COLOUR)
    indexing = Indexing(place.settings, place.store)

    def busy(*given: Any) -> Any:
        raise Busy("the database is busy with other writes; try again")

    with monkeypatch.context() as patch:
        patch.setattr(place.store, "write", busy)
        assert not indexing.run()
    assert not place.complete()
    assert indexing.run()
    assert ids(server, "Medication?colour=red") == ["m"]


def test_only_one_process_at_a_time_indexes(place: Place) -> None:
    server = place.server()
    put(server, red("m"))
    put(server, COLOUR)
    one, other = Indexing(place.settings, place.store), Indexing(place.settings, place.store)
    known = serving(place.settings, place.store)
    place.store.write(lambda t: one._hold(t, known))
    assert (other.run(), place.complete()) == (False, False)
    assert (one.run(), place.complete()) == (True, True)
    assert "colour" in (place.store.state(INDEXED) or "")


@pytest.mark.parametrize("form", ["package", "xml"])
def test_the_formulary_guide_is_loaded_as_published_and_found_by_each_of_its_parameters(
    emptied_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", "*")
    examples = [*resources_of(GUIDE)]
    for one in examples if form == "xml" else ():
        text = resource_xml(one, definitions(FhirVersion.R4))
        (tmp_path / f"{one['resourceType']}-{one['id']}.xml").write_text(text)
    given = GUIDE if form == "package" else tmp_path
    loaded = CliRunner().invoke(main, ["load", "--database", emptied_url, "--fhir-version", "R4", str(given)])
    assert loaded.exit_code == 0, loaded.output
    settings = Settings(database=emptied_url, content="", resource_types="*")
    store = open_store(settings)
    sync(settings, store)
    assert Indexing(settings, store).run()
    server = InProcess(settings, store)
    asked = sum(
        _ask_for_all(server, parameter, examples, release)
        for parameter in examples
        if parameter["resourceType"] == "SearchParameter" and parameter["code"] != "_lastUpdated"
        for release in ("r4", "r4b", "r5")
    )
    assert asked > 150
    # When they were stored is the server's to say.
    for base in ("Basic", "InsurancePlan", "MedicationKnowledge"):
        there = {one["id"] for one in examples if one["resourceType"] == base}
        assert set(ids(server, f"{base}?_lastUpdated=gt2020-01-01&_count=100", "r4")) == there
    store.close()


# The specification's own parameters of these codes are served, and look at more.
WIDER = {("InsurancePlan", "name")}


def _ask_for_all(server: InProcess, parameter: dict[str, Any], examples: list[dict[str, Any]], release: str) -> int:
    """Ask by one parameter for each of its values in the examples; how many there were."""
    code, (base,) = parameter["code"], parameter["base"]
    expected: dict[str, set[str]] = {}
    for one in examples:
        if one["resourceType"] == base:
            for value in fhirpathpy.evaluate(one, parameter["expression"], None, models["r4"]):
                for text in _texts(parameter["type"], value):
                    expected.setdefault(text, set()).add(one["id"])
    there = set().union(*expected.values()) if expected else set()
    for text, wanted in expected.items():
        found = set(ids(server, f"{base}?{code}={text}&_count=100", release))
        # A date also finds what goes on at the time.
        wider = (base, code) in WIDER or parameter["type"] == "date"
        assert found >= wanted if wider else found == wanted, (release, base, code, text)
        assert found <= there or (base, code) in WIDER, (release, base, code, text)
    if (base, code) not in WIDER:
        assert set(ids(server, f"{base}?{code}:missing=false&_count=100", release)) == there, (release, base, code)
    return len(expected)


def _texts(kind: str, value: Any) -> Iterator[str]:
    """What to ask for, to find a value."""
    if kind == "token" and isinstance(value, dict):
        codings = value.get("coding", [value])
        for one in codings:
            system, code = one.get("system", ""), one.get("code", one.get("value"))
            yield f"{system}|{code}"
    elif kind == "token":
        yield str(value)
    elif kind == "reference":
        yield value["reference"]
    elif kind == "string":
        yield f"{value}".replace(" ", "%20").replace(",", "\\,").replace("/", "%2F")
    elif kind == "date":
        day = value if isinstance(value, str) else value.get("start", value.get("end"))
        yield f"ge{day}".replace("+", "%2B") if isinstance(value, str) or "start" in value else f"le{day}"
