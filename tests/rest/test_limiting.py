"""A client that asks too often is told to wait, and keeps nobody else from an answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.access.grant import GRANT, Grant
from apothecary.access.rates import Rates, key_of
from apothecary.app import Apothecary, create_app
from apothecary.errors import StartError
from apothecary.settings import Settings
from tests.access.clients import Sender, bearer, settings_for
from tests.redis import running_redis


class Clock:
    """A time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


def served(folder: Path, **more: Any) -> Apothecary:
    database = f"sqlite:///{folder / 'a.db'}"
    return create_app(Settings(**{"database": database, "content": "", "rate_limit": "3/hour"} | more))


def ask(app: Apothecary, path: str = "/fhir/r5/Medication", address: str = "10.0.0.1", **environ: Any) -> Any:
    return app.test_client().get(path, environ_overrides={"REMOTE_ADDR": address, **environ})


def test_the_request_after_the_last_is_429_with_the_seconds_to_wait(tmp_path: Path, clock: Clock) -> None:
    app = served(tmp_path)
    assert [ask(app).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = ask(app)
    assert 0 < int(answer.headers["Retry-After"]) <= 7200
    outcome = json.loads(answer.text)
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", "throttled")
    assert answer.content_type.startswith("application/fhir+json")
    clock.now += 2 * 3600 + 1
    assert ask(app).status_code == 200
    app.service.store.close()


def test_each_address_counts_for_itself_and_probes_for_nobody(tmp_path: Path, clock: Clock) -> None:
    app = served(tmp_path)
    for _ in range(4):
        ask(app)
    assert ask(app).status_code == 429
    assert ask(app, address="10.0.0.2").status_code == 200
    assert [ask(app, path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    assert ask(app, "/metrics").status_code == 429
    app.service.store.close()


def test_a_client_counts_for_itself_wherever_it_asks_from(tmp_path: Path, clock: Clock) -> None:
    app = served(tmp_path)
    one, other = (Grant(name, None, "https://x.example", (), 0) for name in ("one", "other"))
    asked = [ask(app, address=f"10.0.0.{number}", **{GRANT: one}).status_code for number in range(4)]
    assert asked == [200, 200, 200, 429]
    assert ask(app, address="10.0.0.1", **{GRANT: other}).status_code == 200
    app.service.store.close()


def test_the_token_endpoint_and_wrong_tokens_count_for_their_address(tmp_path: Path, clock: Clock) -> None:
    sender = Sender()
    sender.file(tmp_path / "clients")
    app = create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}", rate_limit="3/hour"))
    http: FlaskClient = app.test_client()
    token = sender.token(http)
    wrong = [http.get("/fhir/r5/Medication", headers=bearer("no.such.token")).status_code for _ in range(3)]
    assert wrong == [401, 401, 429]
    assert sender.ask(http).status_code == 429
    assert http.get("/fhir/r5/Medication", headers=bearer(token)).status_code == 200
    app.service.store.close()


def test_an_answer_from_the_cache_counts_and_a_refusal_is_recorded(tmp_path: Path, clock: Clock) -> None:
    app = served(tmp_path, rate_limit="5/hour", audit="file", audit_folder=str(tmp_path / "audit"))
    assert [ask(app).status_code for _ in range(6)] == [200] * 5 + [429]
    (file,) = (tmp_path / "audit").glob("audit-*")
    event = json.loads(file.read_bytes().splitlines()[-1])
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "429")
    app.service.store.close()


@pytest.mark.parametrize(
    ("client", "address", "key"),
    [
        ("https://x.example app", "10.0.0.1", "client https://x.example app"),
        (None, "10.0.0.1", "address 10.0.0.1"),
        (None, "2001:db8:0:1:2:3:4:5", "address 2001:db8:0:1::/64"),
        (None, "::ffff:10.0.0.1", "address 10.0.0.1"),
        (None, "", "address"),
    ],
)
def test_whom_a_request_counts_for(client: str | None, address: str, key: str) -> None:
    assert key_of(client, address) == key


@pytest.mark.parametrize("limit", ["often", "0/second", "5", "5/second;x"])
def test_a_limit_that_is_none_stops_the_start(limit: str) -> None:
    with pytest.raises(StartError, match="APOTHECARY_RATE_LIMIT"):
        Rates(Settings(rate_limit=limit))


@pytest.mark.parametrize("storage", ["nowhere", "file://x", "redis://:secret@127.0.0.1:1/0", "memcached://127.0.0.1"])
def test_a_storage_that_is_none_or_does_not_answer_stops_the_start(storage: str) -> None:
    with pytest.raises(StartError, match="APOTHECARY_RATE_LIMIT_STORAGE") as told:
        Rates(Settings(rate_limit="1/second", rate_limit_storage=storage))
    assert "secret" not in str(told.value)


def test_servers_with_one_redis_count_together_and_go_on_without_it(caplog: pytest.LogCaptureFixture) -> None:
    with running_redis() as address:
        one, other = (Rates(Settings(rate_limit="3/hour", rate_limit_storage=address)) for _ in range(2))
        waits = [rates.wait("client x") for rates in (one, other, one, other)]
        assert waits[:3] == [None] * 3
        assert waits[3] is not None
        assert one.wait("client y") is None
    assert [one.wait("client x") for _ in range(3)] == [None] * 3
    assert [record.message for record in caplog.records] == ["requests are not counted: ConnectionError"]
