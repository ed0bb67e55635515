"""The benchmarks measure what they say: the right requests, the right servers, the right arithmetic."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchmarks import bare, content, http, in_process, servers, validate_start, validators, versions, versions_http
from benchmarks.http import Sample, Target, measure, parse_wrk, summarize
from benchmarks.reference import engine

REPORT = """\
Running 3s test @ http://127.0.0.1:8080
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  512.33us   9.10ms   87.90%
    Req/Sec     7.61k   512.00     8.90k    70.00%
  Latency Distribution
     50%  812.00us
     75%    1.31ms
     90%    1.90ms
     99%    1.20s
  22841 requests in 3.00s, 28.15MB read
Requests/sec:   7612.44
Transfer/sec:      9.38MB
"""


def test_a_report_of_wrk_is_read_in_milliseconds() -> None:
    assert parse_wrk(REPORT) == Sample(rate=7612.44, p50=0.812, p99=1200.0)


@pytest.mark.parametrize(
    "trouble", ["  Non-2xx or 3xx responses: 12\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"]
)
def test_a_rate_of_errors_is_no_result(trouble: str) -> None:
    with pytest.raises(RuntimeError, match=r"Non-2xx|Socket"):
        parse_wrk(REPORT.replace("Requests/sec", trouble + "Requests/sec"))


def test_ratios_are_taken_within_a_round_so_that_a_slow_machine_does_not_count() -> None:
    rounds = [
        {"bare": Sample(1000, 1, 2), "read": Sample(900, 1, 3)},
        {"bare": Sample(100, 9, 9), "read": Sample(80, 9, 9)},
        {"bare": Sample(1000, 1, 2), "read": Sample(100, 1, 3)},
    ]
    by_name = {result.name: result for result in summarize(rounds)}
    assert by_name["bare"].ratio == 1
    assert by_name["read"].ratio == 0.8
    assert (by_name["read"].rate, by_name["read"].p99) == (100, 3)


def test_five_medications_share_each_code(tmp_path: Path) -> None:
    content.write(tmp_path, 20)
    written = [json.loads(path.read_text()) for path in (tmp_path / "Medication").iterdir()]
    assert {resource["id"] for resource in written} == {f"m{number}" for number in range(20)}
    codes = [resource["code"]["coding"][0]["code"] for resource in written]
    assert {codes.count(code) for code in codes} == {content.SHARING}


def test_the_searches_that_compare_versions_find_twenty_each_and_share_none() -> None:
    paths = versions_http.searches("r4", range(0, 60, versions_http.HITS))
    codes = [path.partition("?code=")[2].split(",") for path in paths]
    held = [content.medication(number)["code"]["coding"][0]["code"] for number in range(versions_http.HITS * 4)]
    for wanted in codes:
        named = {one.partition("|")[2] for one in wanted}
        assert sum(code in named for code in held) == versions_http.HITS
    assert len({one for wanted in codes for one in wanted}) == sum(map(len, codes))


def test_the_versions_are_compared_within_a_sample() -> None:
    compared = versions_http.summarize("read", [(100, 150), (1000, 1200), (100, 900)])
    assert (compared.r5, compared.r4, compared.ratio) == (100, 900, 1.5)


@pytest.mark.slow
def test_a_cold_request_is_asked_for_once_on_each_base(tmp_path: Path) -> None:
    content.write(tmp_path / "content", 40)
    port = servers.free_port()
    command = servers.apothecary(port, tmp_path / "content", f"sqlite:///{tmp_path / 'b.db'}", 1)
    with servers.running(command, port, "/readyz"):
        versions_http.check(port, versions_http.searches("r4", [20])[0], versions_http.HITS, "form")
        compared = versions_http.cold(
            port, "read", versions_http.reads("r4", range(9)), versions_http.reads("r5", range(9))
        )
    assert compared.r5 > 0
    assert compared.r4 > 0


def test_the_yardstick_answers_one_kilobyte_of_json() -> None:
    answer = bare.app.test_client().get("/")
    assert answer.get_json()["resourceType"] == "Medication"
    assert 1000 <= len(answer.data) <= 1048


def test_without_wrk_the_benchmark_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = CliRunner().invoke(http.main)
    assert result.exit_code == 1
    assert "apt-get install wrk" in result.output


def test_a_server_that_does_not_start_is_told_with_its_own_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such content')"]
    with pytest.raises(RuntimeError, match="no such content"), servers.running(command, servers.free_port(), "/"):
        pass


@pytest.mark.slow
def test_the_bare_app_runs_on_granian_and_ends_with_the_block() -> None:
    port = servers.free_port()
    with servers.running(servers.bare(port, workers=2, threads=2), port, "/") as server:
        assert server.seconds > 0
        assert servers.fetch(port, "/") == (200, bare.BODY)
        if shutil.which("wrk"):
            assert measure(Target("bare", server, port, ["/", "/?again"]), 1).cpu > 0
    assert servers.status(port, "/") is None


def test_the_start_of_the_validator_is_measured_on_a_bundle_without_findings(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(validate_start.bundle(3)))
    seconds, megabytes, _ = validate_start.start(path)
    assert 0 < seconds < 60
    assert megabytes > 1
    path.write_text("{")
    with pytest.raises(RuntimeError, match="status 1"):
        validate_start.start(path)


def test_a_conversion_is_measured_in_each_of_its_steps(tmp_path: Path) -> None:
    folder = tmp_path / "Medication"
    folder.mkdir()
    (folder / "m.json").write_text('{"resourceType":"Medication","doseForm":{"text":"tablet"}}')
    arguments = ["--content", str(tmp_path), "--type", "Medication", "--json"]
    result = CliRunner().invoke(versions.main, arguments, catch_exceptions=False)
    (times,) = json.loads(result.output).values()
    assert times.keys() == {"bytes", "parse µs", "convert µs", "dump µs", "back µs"}
    assert all(value > 0 for value in times.values())


def test_the_validator_is_measured_beside_others_on_what_all_of_them_accept() -> None:
    assert validators.rate(lambda _: None, [1], at_least=0.01) > 0
    resource = validators.knowledge(1)
    assert validators.MedicationKnowledge.model_validate(resource).status == "active"
    schema = validators.json_schema(validators.FhirVersion.R5, "MedicationKnowledge")
    assert validators.jsonschema_rs.validator_for(schema).is_valid(resource)


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({}, "java is not installed"),
        ({"java": "", "javac": ""}, "mvn is not installed (Debian: apt-get install default-jdk-headless maven)"),
        ({"java": "", "javac": "", "mvn": "echo no route to host; exit 1"}, "mvn failed: no route to host"),
    ],
)
def test_without_java_or_maven_the_validator_is_measured_beside_the_others_and_says_what_is_missing(
    programs: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(validators, "build", lambda: engine.build(tmp_path / "kept"))
    monkeypatch.setattr(validators, "measure", lambda: {"apothecary": 2.0, "other": 1.0})
    result = CliRunner().invoke(validators.main, ["--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"HL7's engine is not measured: {said}" in result.stderr
    assert json.loads(result.stdout) == {"apothecary": 2.0, "other": 1.0}
    # Nothing half done is taken for whole the next time.
    assert list((tmp_path / "kept").glob("*")) == []


def test_inside_the_application_only_answers_that_are_right_are_timed() -> None:
    once, again, nowhere = (in_process.Asked(path) for path in ("/", "/?again", "/nowhere"))
    assert in_process.microseconds(bare.app, [once, again], rounds=1, requests=10)[0] > 0
    with pytest.raises(click.ClickException, match="404"):
        in_process.microseconds(bare.app, [once, nowhere], rounds=1, requests=10)


def test_the_bare_app_answers_with_as_many_bytes_as_are_wanted() -> None:
    answer = bare.app.test_client().get("/5000")
    assert len(answer.data) == 5000
    assert answer.get_json()["resourceType"] == "Medication"


def test_what_is_large_is_compared_with_as_many_bytes_of_the_bare_app() -> None:
    rounds = [{"bare": Sample(9, 1, 1, 10), "bare search": Sample(9, 1, 1, 15), "search": Sample(9, 1, 1, 20)}]
    by_name = {result.name: result for result in summarize(rounds, {"search": "bare search"})}
    assert (by_name["search"].cpu_ratio, by_name["search"].size_ratio) == (0.5, 0.75)
