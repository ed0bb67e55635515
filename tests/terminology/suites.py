"""HL7's terminology tests as they stand in tests/data/tx-tests: the suites, and one way to ask a server each test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.harness import Answer, InProcess
from tests.terminology.comparing import Difference, compare, least

DATA = Path(__file__).parent.parent / "data" / "tx-tests"
JSON = {"Content-Type": "application/fhir+json"}
PATHS = {
    "expand": "ValueSet/$expand",
    "validate-code": "ValueSet/$validate-code",
    "cs-validate-code": "CodeSystem/$validate-code",
    "lookup": "CodeSystem/$lookup",
    "translate": "ConceptMap/$translate",
    "batch-validate": "ValueSet/$batch-validate-code",
    "metadata": "metadata",
    "term-caps": "metadata?mode=terminology",
}


@dataclass(frozen=True)
class Test:
    """One test: what is asked, and the answers that are right."""

    __test__ = False

    suite: str
    name: str
    operation: str
    request: Any
    responses: tuple[Any, ...]
    status: str
    headers: Mapping[str, str]
    setup: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.suite}/{self.name}"

    def ask(self, server: InProcess, base: str = "/fhir/r5", given: tuple[Any, ...] = ()) -> Answer:
        """Ask a server; `given` are resources that go along with the request."""
        path = f"{base}/{PATHS[self.operation]}"
        if self.request is None:
            return server.ask("GET", path, self.headers)
        extra = [{"name": "tx-resource", "resource": one} for one in given]
        body = {**self.request, "parameter": [*extra, *self.request["parameter"]]}
        return server.ask("POST", path, {**JSON, **self.headers}, json.dumps(body))

    def differs(self, answer: Answer) -> Difference:
        """How an answer differs from that of the expected ones that is nearest."""
        if not self._status_fits(answer.status):
            return Difference([f"status {answer.status}, expected {self.status}: {answer.body[:300]!r}"])
        # Those of capabilities are the least that must be found.
        found = [
            (one, least(one, answer.json) if self.operation in ("metadata", "term-caps") else answer.json)
            for one in self.responses
        ]
        return min((compare(*pair) for pair in found), key=lambda one: (len(one.hard), len(one.texts)))

    def _status_fits(self, status: int) -> bool:
        return f"{status // 100}xx" == self.status


def read(name: str) -> Any:
    """A file of the tests; some begin with a byte order mark."""
    return json.loads((DATA / name).read_text("utf-8-sig"))


def setup(name: str) -> Any:
    """A resource that a suite needs. Some have members that no FHIR has (`definition:en`), or lack a status: they are
    made such as a server takes them.
    """
    resource = _without_colons(read(name))
    resource.setdefault("status", "unknown")
    resource.setdefault("id", name.rpartition("/")[2].removesuffix(".json"))
    return resource


def _without_colons(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_colons(one) for key, one in value.items() if ":" not in key}
    return [_without_colons(one) for one in value] if isinstance(value, list) else value


def tests() -> Iterator[Test]:
    """All tests of all suites."""
    for suite in read("test-cases.json")["suites"]:
        for one in suite["tests"]:
            files = [value for key, value in one.items() if key.startswith("response")]
            headers = {"Accept-Language": one["Accept-Language"]} if "Accept-Language" in one else {}
            yield Test(
                suite["name"],
                one["name"],
                one["operation"],
                read(one["request"]) if "request" in one else None,
                tuple(read(file) for file in files if (DATA / file).exists()),
                one.get("http-code", "2xx"),
                headers,
                tuple(suite.get("setup", ())),
            )
