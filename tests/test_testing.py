"""Servers for tests: they start, say why they do not, stop, and leave each other's ports alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from apothecary.errors import StartError
from apothecary.testing import MOST_SHOWN, ServerProcess, assert_valid, free_port


def status(server: ServerProcess, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_server_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    for _ in range(2):
        server.start()
        assert status(server, "/fhir/Medication") == 200
        server.stop()
        assert not listens(server.port)
        server.stop()  # nothing is left to do
    server.close()
    assert server.log.count("content: no content") == 2
    assert server.database == f"sqlite:///{tmp_path}/apothecary.db"


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_worker_behind(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, {"workers": 2})
    for _ in range(2):
        server.start()
        server.kill()
        assert not listens(server.port)
        server.kill()  # nothing is left to do
    server.close()


@pytest.mark.slow
def test_variables_of_this_process_do_not_reach_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APOTHECARY_NONSENSE", "1")
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", "Patient")
    monkeypatch.setenv("PYTHONPATH", ".")
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path)
    with ServerProcess(tmp_path, {"content": "content"}) as server:
        assert status(server, "/fhir/Patient") == 404
        assert status(server, "/fhir/Medication") == 200
        assert server.settings.content == str(tmp_path / "content")


@pytest.mark.slow
def test_a_server_that_ends_before_it_answers_shows_its_log(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(StartError, match=r"(?s)ended with status 2.*Its log:.*there is no such folder"):  # noqa: SIM117
        with ServerProcess(tmp_path, {"content": "none"}):
            pytest.fail("it cannot have started")
    assert (len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0) == before


@pytest.mark.slow
def test_a_server_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    with pytest.raises(StartError, match="did not answer within 0 s"):
        server.start(seconds=0)
    assert server._process is None
    assert not listens(server.port)


def test_a_server_that_does_not_stop_is_ended_by_force_with_a_warning(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    server._process = process = subprocess.Popen(
        [sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline()
    with pytest.warns(UserWarning, match="did not stop within 0.1 s"):
        server.stop(seconds=0.1)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"port": 8080}, "host and port"),
        ({"host": "0.0.0.0"}, "host and port"),  # noqa: S104 (nothing listens)
        ({"nonsense": 1}, "APOTHECARY_NONSENSE is not a setting"),
        ({"page_size": "many"}, "APOTHECARY_PAGE_SIZE='many'"),
        ({"references": "perhaps"}, "enforced, allowed"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told_before_anything_starts(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(StartError, match=said):
        ServerProcess(tmp_path, settings)
    assert list(tmp_path.iterdir()) == []


def test_a_port_is_given_to_one_server_only_until_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    port, mark = free_port()
    offered = iter([port, port, port + 1 if port < 65535 else port - 1])

    class Probe(socket.socket):
        """A system that offers the same port again, as one may while nothing listens on it."""

        def getsockname(self) -> Any:
            return "127.0.0.1", next(offered)

    with mark:
        monkeypatch.setattr(socket, "socket", Probe)
        other, second = free_port()
        second.close()
    assert other != port


def test_a_server_that_is_forgotten_gives_its_port_back(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    port = server.port
    del server
    with socket.socket(type=socket.SOCK_DGRAM) as mark:
        mark.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ({"resourceType": "Medication", "status": "active"}, {}),
        (b'{"resourceType": "Medication", "manufacturer": {"display": "x"}}', {"release": "R4"}),
        (
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{"request": {"method": "GET", "url": "Medication/x"}}],
            },
            {},
        ),
    ],
)
def test_a_valid_resource_passes(resource: Any, named: dict[str, Any]) -> None:
    assert_valid(resource, **named)


@pytest.mark.parametrize(
    ("resource", "named", "said"),
    [
        ({"resourceType": "Medication", "status": 1}, {}, ["Medication is not valid: 1 error", "at Medication.status"]),
        ({"resourceType": "Medication"}, {"strict": True}, ["1 warning", "warning[dom-6] at Medication", "help: "]),
        ("{", {}, ["the resource is not valid: 1 error", "fatal[json-syntax]", "Line 1, column 2: "]),
        (
            {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Basic"}}]},
            {},
            ["Bundle is not valid", "at Bundle.entry[0].resource"],
        ),
        ({"resourceType": "Medication", "manufacturer": {"display": "x"}}, {"release": "R5"}, ["unknown-element"]),
        (
            {"resourceType": "Medication", **{f"x{n}": 1 for n in range(100)}},
            {},
            ["100 errors", f"and {100 - MOST_SHOWN} more"],
        ),
        ({"resourceType": "Medication", "a\x1b[2J": 1}, {}, ["1 error"]),
    ],
)
def test_the_message_has_place_rule_and_remedy(resource: Any, named: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(AssertionError) as failed:
        assert_valid(resource, **named)
    message = str(failed.value)
    for text in said:
        assert text in message
    assert "\x1b" not in message
    assert len(message.splitlines()) <= 3 * MOST_SHOWN + 2


def test_a_profile_counts(tmp_path: Path) -> None:
    profile = {
        "resourceType": "StructureDefinition",
        "url": "https://example.org/coded",
        "name": "Coded",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Medication",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Medication.code", "path": "Medication.code", "min": 1}]},
    }
    with pytest.raises(AssertionError, match=r"profile-cardinality\] at Medication"):
        assert_valid({"resourceType": "Medication"}, profile=profile)
    assert_valid({"resourceType": "Medication", "code": {"text": "x"}}, profile)
