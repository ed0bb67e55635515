"""Each format says the same findings in the words that its readers understand.

The golden files are written anew by `APOTHECARY_TEST_WRITE_GOLDEN=1 pytest tests/reports`; read the difference before
you commit it.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from apothecary.content.documents import READING_RULES
from apothecary.content.read import read_bytes
from apothecary.errors import Issue, Severity
from apothecary.reports import text
from apothecary.reports.formats import FORMATS, render
from apothecary.reports.report import Checked, Finding, Report, findings_of, shown_path

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MEDICATION = b"""{
  "resourceType": "Medication",
  "id": "aspirin",
  "status": "bogus",
\t"foo": "\xc3\xa4",
  "code": {"text": "Aspirin: 50%, <b>chewable</b>"}
}
"""
ISSUES = [
    Issue(
        "error",
        "code-invalid",
        "Medication.status is 'bogus', which is not a code.",
        ("Medication.status",),
        rule="code-not-in-value-set",
        remedy="Use one of: active, inactive.",
        pointer=("status",),
    ),
    Issue("error", "structure", "Medication.foo is unknown,\nsee: 100%", ("Medication.foo",), pointer=("foo",)),
    Issue(
        "information",
        "business-rule",
        "The text holds <b> & more.",
        ("Medication.code.text",),
        "a-rule",
        pointer=("code", "text"),
    ),
]


@pytest.fixture
def report() -> Report:
    made = Report(rules=READING_RULES, files=3, resources=4, skipped=1, known=2, seconds=0.5)
    broken = read_bytes("in a folder/x,1:2.json", b'{"a": 1,}')
    twice = read_bytes("some.ndjson", b'{"resourceType": "Group", "id": "g", "id": "h"}', first_line=7)
    for document, issues in ((read_bytes("aspirin.json", MEDICATION), ISSUES), (broken, []), (twice, [])):
        for finding in findings_of(document, issues):
            made.add(finding)
    made.checked = [
        Checked("aspirin.json", 1, "Medication/aspirin"),
        Checked("in a folder/x,1:2.json", 1, ""),
        Checked("some.ndjson", 1, "Group/f"),
        Checked("some.ndjson", 7, "Group/h"),
    ]
    return made


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_stays_as_its_readers_know_it(name: str, report: Report) -> None:
    path = GOLDEN / f"{name}.txt"
    found = render(name, report)
    if os.environ.get("APOTHECARY_TEST_WRITE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text()


def test_the_text_has_colours_only_when_asked_and_the_same_words(report: Report) -> None:
    plain, coloured = text.render(report), text.render(report, colour=True)
    assert "\x1b" not in plain
    assert coloured != plain
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1;36m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_no_text_of_a_file_can_command_the_terminal() -> None:
    issue = Issue("error", "structure", "It says \x1b]0;owned\x07 and \u202e.", ("x\x1b[31m",), rule="r")
    finding = Finding("a\x1b[2J.json", "", issue, 1, 1, '{"a": "\x1b[2J\x9b31m"}', 0)
    said = text.render(Report(findings=[finding]))
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_a_long_line_is_cut_to_the_surroundings_of_the_place() -> None:
    document = read_bytes("x.json", b'{"a": "' + b"x" * 1_000_000 + b'", "b": 1, "c": "' + b"y" * 1_000_000 + b'"}')
    (finding,) = findings_of(document, [Issue("error", "value", "b", pointer=("b",))])
    assert len(finding.snippet) < 110
    assert finding.snippet[finding.caret] == "1"
    assert finding.column == 1_000_016


@pytest.mark.parametrize("name", ["junit"])
@pytest.mark.parametrize("diagnostics", ["\x00\x0b\ufffe", "]]>", "&amp;<", "\"'", "\ud800"])
def test_no_message_breaks_the_xml(name: str, diagnostics: str) -> None:
    issue = Issue("error", "value", diagnostics, rule=diagnostics)
    found = render(name, Report(findings=[Finding(diagnostics, diagnostics, issue, 1, 1, "", 0)]))
    assert len(ET.fromstring(found).findall(".//failure")) == 1  # noqa: S314 - our own output


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_resource(report: Report) -> None:
    root = ET.fromstring(render("junit", report))  # noqa: S314 - our own output
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("aspirin.json", "1", "1"),
        ("in a folder/x,1:2.json", "1", "1"),
        ("some.ndjson", "2", "1"),
    ]
    assert (root.get("tests"), root.get("failures")) == ("4", "3")
    sound, broken = root[2]
    assert (sound.get("name"), list(sound)) == ("Group/f", [])
    assert (broken.get("name"), [child.tag for child in broken]) == ("Group/h (line 7)", ["failure"])


def test_sarif_is_valid_by_its_schema(report: Report) -> None:
    schema = json.loads((HERE / "data" / "sarif-2.1.0.json").read_text())
    log = json.loads(render("sarif", report))
    jsonschema.Draft4Validator(schema).validate(log)
    jsonschema.Draft4Validator(schema).validate(json.loads(render("sarif", Report())))
    log["runs"][0]["results"][0]["level"] = "dreadful"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(log)


def test_sarif_describes_the_rules_that_it_names(report: Report) -> None:
    (run,) = json.loads(render("sarif", report))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert {rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"]} == {True}
    described = {rule["id"] for rule in rules if "help" in rule}
    assert described == {"json-syntax", "duplicate-key"}


def test_fingerprints_survive_moved_lines_and_keep_equal_findings_apart() -> None:
    issue = Issue("error", "value", "Wrong.", ("A.b",), rule="r", pointer=("b",))
    here, there = (
        next(iter(findings_of(read_bytes("x.json", text), [issue]))) for text in (b'{"b": 1}', b'\n\n{"b":\n1}')
    )
    assert (here.line, there.line) == (1, 4)
    assert here.fingerprint == there.fingerprint
    found = json.loads(render("gitlab", Report(findings=[here, there])))
    assert len({each["fingerprint"] for each in found}) == 2


def test_github_hears_of_errors_first() -> None:
    severities: list[Severity] = ["information", "warning", "error", "fatal", "warning"]
    findings = [Finding("x", "", Issue(each, "value", each), 1, 1, "", 0) for each in severities]
    lines = render("github", Report(findings=findings)).splitlines()
    assert [line.partition("::")[2].partition(" ")[0] for line in lines] == [
        "error",
        "error",
        "warning",
        "warning",
        "notice",
    ]


def test_every_format_tells_of_no_findings() -> None:
    empty = Report(files=1, resources=1, checked=[Checked("x.json", 1, "Group/g")])
    assert render("text", empty) == render("github", empty) == ""
    assert json.loads(render("json", empty))["findings"] == json.loads(render("gitlab", empty)) == []
    (issue,) = json.loads(render("outcome", empty))["issue"]
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    assert ET.fromstring(render("junit", empty)).get("tests") == "1"  # noqa: S314 - our own output


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (Report(files=1, resources=1), "No findings in 1 resource of 1 file (0.00 s)."),
        (
            Report(counts=Counter(error=1, fatal=1, warning=1), limit=0, files=2, resources=3),
            "2 errors, 1 warning in 3 resources of 2 files; 3 more beyond the limit (0.00 s).",
        ),
        (
            Report(known=4, mended=1, skipped=1, seconds=1.5),
            "No findings in 0 resources of 0 files; 4 known from the baseline; 1 of the baseline no longer found; "
            "1 file without FHIR skipped (1.50 s).",
        ),
    ],
)
def test_the_summary_says_what_was_and_was_not_looked_at(report: Report, said: str) -> None:
    assert text.summary(report) == said


def test_a_limit_keeps_few_findings_and_counts_all() -> None:
    report = Report(limit=2)
    for _ in range(5):
        report.add(Finding("x", "", Issue("error", "value", "v"), 1, 1, "", 0))
    assert (len(report.findings), report.count("error"), report.beyond_limit) == (2, 5, 3)


def test_under_a_limit_errors_are_kept_rather_than_warnings() -> None:
    report = Report(limit=2)
    severities: list[Severity] = ["warning", "warning", "error", "information", "error", "error"]
    for number, severity in enumerate(severities):
        report.add(Finding("x", "", Issue(severity, "value", str(number)), 1, 1, "", 0))
    assert [finding.issue.diagnostics for finding in report.findings] == ["2", "4"]
    assert report.count("error") == 3


def test_paths_are_shown_from_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(str(tmp_path / "a" / "x.json")) == "a/x.json"
    assert shown_path("./a//x.json") == "a/x.json"
    assert shown_path("/elsewhere/x.json") == "/elsewhere/x.json"
    assert shown_path("-") == "<stdin>"
