"""A transaction leaves what its entries leave when they are sent one by one in the order of the specification.
https://hl7.org/fhir/R5/http.html#trules
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
BASE = "/fhir/r5"
ORDER = ("DELETE", "POST", "PUT", "PATCH")
SEEDED, FREE, KEYS = ("a", "b", "c"), ("d", "e"), ("k1", "k2", "k3")
NUMBERS = count()

names = st.sampled_from(["Ada", "Bo", "Muñoz"])
targets = st.sampled_from([None, *SEEDED, *FREE])


def step(kind: str, name: str, target: str | None) -> dict[str, Any]:
    return {"kind": kind, "name": name, "target": target}


def steps(*kinds: str) -> st.SearchStrategy[dict[str, Any] | None]:
    return st.none() | st.builds(step, st.sampled_from(kinds), names, targets)


plans = st.fixed_dictionaries(
    {
        **{one: steps("PUT", "DELETE", "PATCH") for one in SEEDED},
        **{one: steps("PUT", "DELETE") for one in FREE},
        **{one: steps("create", "create unless there", "update by identifier", "delete by identifier") for one in KEYS},
    }
)


class World:
    """Organizations of one name space on a server: `a`, `b`, `c`, and one with the identifier `k1`."""

    def __init__(self, server: InProcess) -> None:
        self.server = server
        self.space = f"w{next(NUMBERS)}"
        for one in SEEDED:
            self.send(self.request(one, step("PUT", "seed", None)))
        self.send(self.request("k1", step("create", "seed", None)))

    def resource(self, name: str, target: str | None, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"resourceType": "Organization", **more, "name": name}
        if target is not None:
            found["partOf"] = {"reference": f"Organization/{self.space}-{target}"}
        return found

    def request(self, one: str, step: dict[str, Any]) -> dict[str, Any]:
        """A step as an entry of a bundle."""
        kind, name, target = step["kind"], step["name"], step["target"]
        identity, criteria = f"{self.space}-{one}", f"identifier=http://ex.org/{self.space}|{one}"
        identified = self.resource(name, target, identifier=[{"system": f"http://ex.org/{self.space}", "value": one}])
        match kind:
            case "PUT":
                return entry("PUT", f"Organization/{identity}", self.resource(name, target, id=identity))
            case "DELETE":
                return entry("DELETE", f"Organization/{identity}")
            case "PATCH":
                return entry("PATCH", f"Organization/{identity}", rename(name))
            case "create":
                return entry("POST", "Organization", identified)
            case "create unless there":
                return entry("POST", "Organization", identified, ifNoneExist=criteria)
            case "update by identifier":
                return entry("PUT", f"Organization?{criteria}", identified)
            case _:
                return entry("DELETE", f"Organization?{criteria}")

    def send(self, entry: dict[str, Any]) -> None:
        """An entry as a request of its own; it must succeed."""
        request = entry["request"]
        headers = JSON | ({"If-None-Exist": request["ifNoneExist"]} if "ifNoneExist" in request else {})
        body = json.dumps(entry["resource"]) if "resource" in entry else None
        answer = self.server.ask(request["method"], f"{BASE}/{request['url']}", headers, body)
        assert answer.status in (200, 201, 204), answer.body

    def send_together(self, entries: list[dict[str, Any]]) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self.server.ask("POST", BASE, JSON, json.dumps(bundle))
        assert answer.status == 200, answer.body
        assert len(answer.json["entry"]) == len(entries)

    def state(self) -> dict[str, Any]:
        """Each resource, by its id or its identifier, with its number of versions and what is left of it."""
        found: dict[str, Any] = {}
        for one in (*SEEDED, *FREE):
            history = self.server.ask("GET", f"{BASE}/Organization/{self.space}-{one}/_history").json
            found[one] = [history.get("total"), self.told(history.get("entry", [{}])[0].get("resource"))]
        for one in KEYS:
            query = f"{BASE}/Organization?identifier=http://ex.org/{self.space}|{one}"
            hits = [hit["resource"] for hit in self.server.ask("GET", query).json.get("entry", ())]
            found[one] = sorted([hit["meta"]["versionId"], self.told(hit)] for hit in hits)
        return found

    def told(self, resource: dict[str, Any] | None) -> str:
        kept = {key: value for key, value in (resource or {}).items() if key not in ("id", "meta")}
        return json.dumps(kept, sort_keys=True).replace(self.space, "world")


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **conditions: str) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, **conditions}} | ({"resource": resource} if resource else {})


def rename(name: str) -> dict[str, Any]:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Organization.name"},
        {"name": "value", "valueString": name},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans, data=st.data())
def test_a_transaction_equals_its_entries_one_by_one(loose_server: InProcess, plan: Any, data: st.DataObject) -> None:
    chosen = data.draw(st.permutations([(one, step) for one, step in plan.items() if step is not None]))
    together, apart = World(loose_server), World(loose_server)
    if chosen:
        together.send_together([together.request(one, step) for one, step in chosen])
    requests = [apart.request(one, step) for one, step in chosen]
    for request in sorted(requests, key=lambda request: ORDER.index(request["request"]["method"])):
        apart.send(request)
    assert together.state() == apart.state()


@pytest.fixture
def loose_server(database_url: str) -> Any:
    """A server that lets references point to nothing: the order in which entries arrive alone must not matter."""
    given = Settings(database=database_url, content="", references="allowed", delete_referenced="allowed")
    store = open_store(given)
    yield InProcess(given, store)
    store.close()
