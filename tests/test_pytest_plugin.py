"""The pytest plugin in the runs of others: its server, its settings, and that nobody else notices it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MEDICATION = {"resourceType": "Medication", "id": "x", "code": {"text": "aspirin"}}

# What the tests below ask the server with: nothing but Python.
ASK = """
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest

def ask(url, method="GET", resource=None):
    body = None if resource is None else json.dumps(resource).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/fhir+json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)

"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of somebody else's: neither under this one's workers nor with its options."""
    for name in [*os.environ]:
        if name.startswith(("PYTEST_", "APOTHECARY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def content(pytester: pytest.Pytester) -> Path:
    folder = pytester.mkdir("drugs") / "Medication"
    folder.mkdir()
    (folder / "x.json").write_text(json.dumps(MEDICATION))
    return folder.parent


def stopped(pytester: pytest.Pytester) -> bool:
    """Whether no server of a run is left: each test notes where its server was."""
    import socket

    ports = [int(path.read_text()) for path in pytester.path.glob("port-*")]
    assert ports
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


@pytest.mark.slow
def test_the_server_answers_in_every_release_and_is_gone_afterwards(pytester: pytest.Pytester, content: Path) -> None:
    pytester.makeini("[pytest]\napothecary_content = drugs\nfilterwarnings = error\n")
    pytester.makepyfile(
        ASK
        + """
def test_bases(apothecary_server):
    server = apothecary_server
    Path("port-1").write_text(str(server.port))
    for base, number in ((server.url, "5.0.0"), (server.r4, "4.0.1"), (server.r4b, "4.3.0"), (server.r5, "5.0.0")):
        assert ask(base + "/metadata")[1]["fhirVersion"] == number
        assert ask(base + "/Medication/x")[1]["code"] == {"text": "aspirin"}
    assert server.database.startswith("sqlite:////")
    assert os.path.exists(server.database.removeprefix("sqlite:///"))
    assert "1 created" in server.log

def test_it_is_one_for_the_session(apothecary_server):
    assert Path("port-1").read_text() == str(apothecary_server.port)

def test_it_takes_no_writes_unless_told(apothecary_server):
    status, outcome = ask(apothecary_server.url + "/Medication", "POST", {"resourceType": "Medication"})
    assert status == 403
    assert "READ_ONLY" in json.dumps(outcome)
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)
    assert stopped(pytester)


@pytest.mark.slow
def test_options_of_the_command_line_win_and_writes_can_be_opened(pytester: pytest.Pytester, content: Path) -> None:
    pytester.makeini(
        "[pytest]\napothecary_content = none\napothecary_writes = true\n"
        "apothecary_settings =\n    page_size = 1\n    resource_types = Medication, Patient\n"
    )
    pytester.makepyfile(
        ASK
        + """
def test(apothecary_server):
    Path("port-1").write_text(str(apothecary_server.port))
    assert ask(apothecary_server.url + "/Medication", "POST", {"resourceType": "Medication"})[0] == 201
    assert ask(apothecary_server.url + "/Patient", "POST", {"resourceType": "Patient"})[0] == 201
    assert len(ask(apothecary_server.url + "/Medication")[1]["entry"]) == 1
"""
    )
    inner = pytester.mkdir("inner")
    result = pytester.runpytest_subprocess("--rootdir", pytester.path, "--apothecary-content", "drugs")
    result.assert_outcomes(passed=1)
    assert stopped(pytester)
    assert inner.exists()


@pytest.mark.slow
def test_settings_can_come_from_a_fixture(pytester: pytest.Pytester, content: Path) -> None:
    pytester.makeconftest(
        """
import pytest

@pytest.fixture(scope="session")
def apothecary_settings(apothecary_settings):
    return {**apothecary_settings, "content": "drugs", "fhir_version": "R4", "read_only": False}
"""
    )
    pytester.makepyfile(
        ASK
        + """
def test(apothecary_server):
    assert ask(apothecary_server.url + "/metadata")[1]["fhirVersion"] == "4.0.1"
    assert ask(apothecary_server.url + "/Medication/x", "PUT", {"resourceType": "Medication", "id": "x"})[0] == 200
"""
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.slow
def test_each_worker_of_xdist_has_a_server_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\napothecary_writes = true\n")
    pytester.makepyfile(
        ASK
        + """
@pytest.mark.parametrize("number", range(8))
def test(apothecary_server, worker_id, number):
    Path(f"port-{worker_id}").write_text(str(apothecary_server.port))
    resource = {"resourceType": "Medication", "id": f"m{number}", "code": {"text": worker_id}}
    assert ask(f"{apothecary_server.url}/Medication/m{number}", "PUT", resource)[0] == 201
    found = ask(apothecary_server.url + "/Medication?_count=100")[1]["entry"]
    assert {one["resource"]["code"]["text"] for one in found} == {worker_id}
"""
    )
    # Dealt out one by one, so that each worker is sure to have some.
    pytester.runpytest_subprocess("-n", "2", "--maxschedchunk", "1").assert_outcomes(passed=8)
    assert len({path.read_text() for path in pytester.path.glob("port-*")}) == 2
    assert stopped(pytester)


BROKEN = json.dumps({**MEDICATION, "status": "actve"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("content = drugs", ["*the server ended with status 2*Its log:*", "*x.json:1:*Medication.status is 'actve'*"]),
        ("page_sise = 1", ["*APOTHECARY_PAGE_SISE is not a setting*"]),
        ("port = 80", ["*host and port of a server for tests are its own choice*"]),
        ("nothing", ["*apothecary_settings: 'nothing' is not name = value*"]),
    ],
)
def test_a_server_that_does_not_start_says_why(
    pytester: pytest.Pytester, content: Path, settings: str, said: list[str]
) -> None:
    (content / "Medication" / "x.json").write_text(BROKEN)
    pytester.makeini(f"[pytest]\napothecary_settings = {settings}\n")
    pytester.makepyfile("def test(apothecary_server): ...")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(said)
    assert "Traceback" not in result.stdout.str()


def test_findings_are_the_message_of_a_failed_assertion(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
from apothecary.testing import assert_valid

def test_a_resource():
    assert_valid({"resourceType": "Medication", "id": "x", "status": "actve"})
"""
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">   *assert_valid({*",
            "E   *AssertionError: Medication/x is not valid: 1 error",
            "E   *error[[]code-not-in-value-set] at Medication.status",
            "E   *'actve', which is not a code*",
            "E   *help: Did you mean 'active'?",
        ]
    )
    # The place that is shown is the test's own.
    assert not re.search(r"testing\.py:\d+: AssertionError", result.stdout.str())


@pytest.mark.parametrize("options", [(), ("-p", "no:apothecary")])
def test_a_run_that_has_nothing_to_do_with_it_loads_nothing(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makeini("[pytest]\naddopts = --strict-config --strict-markers\nfilterwarnings = error\n")
    pytester.makepyfile(
        """
import sys

def test():
    loaded = {name for name in sys.modules if name.partition(".")[0] in ("apothecary", "flask", "sqlalchemy", "fhir")}
    assert loaded <= {"apothecary", "apothecary.pytest_plugin"}, loaded
"""
    )
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)


def test_without_the_plugin_there_is_no_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(apothecary_server): ...")
    result = pytester.runpytest_subprocess("-p", "no:apothecary")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'apothecary_server' not found*"])


def test_fixtures_of_others_with_the_same_names_win(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef apothecary_server():\n    return 'mine'\n")
    pytester.makepyfile("def test(apothecary_server):\n    assert apothecary_server == 'mine'\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_its_options_and_fixtures_say_what_they_are_for(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_subprocess("--help").stdout.str()
    for name in ("--apothecary-content", "apothecary_content", "apothecary_writes", "apothecary_settings"):
        assert name in shown
        assert name in (ROOT / "docs" / "python.md").read_text()
    pytester.runpytest_subprocess("--fixtures").stdout.fnmatch_lines(
        ["apothecary_server [[]session scope]*", "*A real server for the session*"]
    )
