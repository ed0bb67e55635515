"""What the conformance tests share: servers with the fixtures' resources on both databases, and one way to ask them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import yaml

from apothecary.app import create_app, make_service
from apothecary.content.sync import sync
from apothecary.fhir.family import MEDICATION_FAMILY
from apothecary.fhir.json import dumps, parse
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.testing import ServerProcess
from tests.waiting import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FIXTURES = parse((HERE / "fixtures.json").read_bytes())
EVERYTHING = parse((HERE / "everything.json").read_bytes())
TYPES = ",".join([*MEDICATION_FAMILY, "RiskAssessment"])
BASE = "/fhir/r5"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        """The ids of the matches of a searchset, in order."""
        return [one["resource"]["id"] for one in self.json.get("entry", ()) if one["search"]["mode"] == "match"]

    @property
    def links(self) -> dict[str, str]:
        return {one["relation"]: one["url"] for one in self.json.get("link", ())}


class Server(Protocol):
    """Something that answers HTTP requests; `address` is what links to it begin with."""

    address: str

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Answer: ...


class InProcess:
    """The app itself, without a network."""

    address = "http://localhost"

    def __init__(self, settings: Settings, store: SqlStore) -> None:
        self.settings, self.store = settings, store
        self.service = make_service(settings, store)
        self.application = create_app(settings, store)
        self._client = self.application.test_client()

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
        path = path.removeprefix(self.address)
        response = self._client.open(path, method=method, headers=dict(headers or {}), data=body)
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.data)


class OverHttp:
    """A server in another process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path.removeprefix(self.address), body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def write_content(folder: Path, resources: list[dict[str, Any]]) -> None:
    """Each resource as a file of a content folder."""
    for resource in resources:
        path = folder / resource["resourceType"] / f"{resource['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dumps(resource))


def settings_for(database_url: str, content: Path, **more: Any) -> Settings:
    return Settings(database=database_url, content=str(content), resource_types=TYPES, **more)


@contextmanager
def serving(settings: Settings) -> Iterator[InProcess]:
    """The app over the content that the settings name."""
    store = open_store(settings)
    sync(settings, store)
    yield InProcess(settings, store)
    store.close()


def fill(database_url: str, content: Path) -> SqlStore:
    """A store with the fixtures: the first state, then the changes and the removals in a second sync."""
    settings = settings_for(database_url, content)
    store = open_store(settings)
    write_content(content, FIXTURES["first"])
    sync(settings, store)
    time.sleep(0.002)  # lastUpdated counts in milliseconds, and a later version must be told from an earlier one
    write_content(content, FIXTURES["then"])
    for key in FIXTURES["removed"]:
        (content / f"{key}.json").unlink()
    sync(settings, store)
    return store


@contextmanager
def served(settings: Mapping[str, str]) -> Iterator[OverHttp]:
    """`apothecary serve` in a process of its own until the block ends."""
    with TemporaryDirectory(prefix="apothecary-served-") as folder, ServerProcess(Path(folder), settings) as server:
        yield OverHttp(server.port)


def table(name: str) -> dict[str, Any]:
    """A file of cases."""
    # Each process of the tests reads all of them before it begins: the loader in C takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load((HERE / "cases" / name).read_text(), Loader=loader)  # noqa: S506 (a safe one)
    return loaded


def problems(answer: Answer) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome; fails where the body is none, or says nothing."""
    outcome = answer.json
    assert outcome["resourceType"] == "OperationOutcome", outcome
    assert outcome["issue"]
    for issue in outcome["issue"]:
        assert issue["severity"] in ("fatal", "error", "warning", "information")
        assert issue["code"]
        assert issue["details"]["text"]
        assert issue["details"]["text"] not in issue.get("diagnostics", "")
    found: list[dict[str, Any]] = outcome["issue"]
    return found


def told(issue: Mapping[str, Any]) -> str:
    """What an issue says, and what to do about it."""
    text, remedy = issue["details"]["text"], issue.get("diagnostics")
    return f"{text.removesuffix('.')}. {remedy}" if remedy else str(text)
