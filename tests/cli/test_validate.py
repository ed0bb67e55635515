"""`apothecary validate` finds, tells and ends as it promises."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import main, validate_run
from apothecary.reports.formats import FORMATS

ROOT = Path(__file__).parent.parent.parent
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
SOUND = {"resourceType": "Group", "id": "g", "text": NARRATIVE, "type": "person", "membership": "definitional"}
WRONG = {**SOUND, "id": "w", "membership": "bogus"}
UNTOLD = {key: value for key, value in SOUND.items() if key != "text"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, value: Any) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
    return name


def run(*arguments: str, text: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["validate", *arguments], input=text, catch_exceptions=False)
    assert isinstance(result, Result)
    return result


def rules(*arguments: str, text: str | None = None) -> list[tuple[str, str]]:
    findings = json.loads(run("--format=json", *arguments, text=text).stdout)["findings"]
    return [(finding["file"], finding["rule"]) for finding in findings]


def test_a_defect_is_told_with_its_place_and_the_status_is_1() -> None:
    result = run(write("x.json", WRONG))
    assert result.exit_code == 1
    assert result.stdout.startswith("error[code-not-in-value-set]: ")
    assert " --> x.json:9:17\n" in result.stdout
    assert '9 |   "membership": "bogus"\n  |                 ^\n' in result.stdout
    assert "= at: Group.membership\n" in result.stdout
    assert result.stderr.startswith("1 error in 1 resource of 1 file")


def test_a_sound_file_gives_no_output_but_the_summary_and_status_0() -> None:
    result = run(write("x.json", SOUND))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("No findings in 1 resource of 1 file")
    assert run("--quiet", "x.json").output == ""


def test_warnings_fail_only_a_strict_check() -> None:
    write("x.json", UNTOLD)
    result = run("x.json")
    assert result.exit_code == 0
    assert "warning[dom-6]" in result.stdout
    assert run("--strict", "x.json").exit_code == 1
    assert run("--strict", "--exit-zero", "x.json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.json"], "no such file"),
        (["*.gone"], "no file matches"),
        ([], "Missing argument"),
        (["x.json", "--fhir-version=R6"], "write R4, R4B or R5"),
        (["x.json", "--format=html"], "'html' is not one of"),
        (["x.json", "--output=junit"], "write FORMAT=FILE"),
        (["x.json", "--output=html=x"], "write FORMAT=FILE"),
        (["x.json", "--output=json=no/such/folder"], "cannot be written"),
        (["x.json", "--disable=no-such-rule"], "there is no rule 'no-such-rule'"),
        (["x.json", "--baseline=gone.json"], "gone.json: cannot be read"),
        (["x.json", "--write-baseline"], "needs --baseline"),
        (["x.json", "--config=gone.toml"], "gone.toml: cannot be read"),
        (["-", "--references"], "twice"),
        (["-", "--changed-since=HEAD"], "standard input"),
        (["empty"], "nothing was checked"),
    ],
)
def test_what_cannot_run_says_why_with_status_2(arguments: list[str], said: str) -> None:
    write("x.json", SOUND)
    write("empty/notes.md", "")
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.json", "{", "json-syntax"),
        ("x.ndjson", f"{json.dumps(SOUND)}\n{json.dumps(WRONG)}\n", "code-not-in-value-set"),
        ("x.yaml", json.dumps(WRONG), "code-not-in-value-set"),
        ("x.yml", "a: [", "yaml-syntax"),
        ("x.xml", '<Group xmlns="http://hl7.org/fhir"><foo value="1"/></Group>', "unknown-element"),
        ("-", json.dumps(WRONG), "code-not-in-value-set"),
    ],
)
def test_every_format_of_fhir_is_checked(name: str, text: str, expected: str) -> None:
    if name != "-":
        write(name, text)
    shown = "<stdin>" if name == "-" else name
    assert (shown, expected) in rules(name, text=text if name == "-" else None)


@pytest.mark.parametrize(
    ("options", "resource", "is_sound"),
    [
        ([], {}, True),
        (["--fhir-version=R4"], {}, False),
        (["--fhir-version=4.0.1"], {}, False),
        ([], {"meta": {"profile": ["http://hl7.org/fhir/4.0/StructureDefinition/Group"]}}, False),
        (["--fhir-version=R5"], {"meta": {"profile": ["http://hl7.org/fhir/4.0/StructureDefinition/Group"]}}, True),
    ],
)
def test_the_option_overrules_what_a_resource_claims_which_overrules_the_default(
    options: list[str], resource: dict[str, Any], is_sound: bool
) -> None:
    # `membership` is of R5 only.
    write("x.json", {**SOUND, **resource})
    assert (("x.json", "unknown-element") in rules("x.json", *options)) is not is_sound
    write("apothecary.toml", '[validate]\nfhir-version = "R4"\n')
    if not options and not resource:
        assert ("x.json", "unknown-element") in rules("x.json")


def test_several_reports_are_written_at_once() -> None:
    write("x.json", WRONG)
    outputs = [f"--output={name}=report.{name}" for name in FORMATS]
    result = run("x.json", "--format=github", *outputs)
    assert result.stdout == Path("report.github").read_text()
    for name in FORMATS:
        assert "code-not-in-value-set" in Path(f"report.{name}").read_text()
    (case,) = json.loads(Path("report.sarif").read_text())["runs"][0]["tool"]["driver"]["rules"]
    assert case["shortDescription"]["text"]


def test_references_are_followed_within_a_folder_and_not_from_a_single_file() -> None:
    def pointing(target: str) -> dict[str, Any]:
        return {**SOUND, "id": "p", "managingEntity": {"reference": target}}

    organization = {"resourceType": "Organization", "id": "o", "text": NARRATIVE, "name": "O"}
    write("all/Group/p.json", pointing("Organization/o"))
    write("all/bundle.json", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": organization}]})
    assert "unresolved-reference" not in dict(map(reversed, rules("all")))
    write("all/Group/p.json", pointing("Organization/gone"))
    assert ("all/Group/p.json", "unresolved-reference") in rules("all")
    assert ("all/Group/p.json", "unresolved-reference") in rules("all/Group/p.json", "--references")
    assert rules("all/Group/p.json") == []
    assert rules("all/Group", "--no-references") == []


def test_a_folder_may_hold_other_files_which_are_counted() -> None:
    write("all/package.json", {"name": "x"})
    write("all/x.json", SOUND)
    result = run("all")
    assert result.exit_code == 0
    assert "in 1 resource of 1 file; 1 file without FHIR skipped" in result.stderr


def test_rules_are_switched_off_by_option_and_lowered_by_configuration() -> None:
    write("x.json", WRONG)
    assert rules("x.json", "--disable=code-not-in-value-set") == []
    write("apothecary.toml", '[validate]\nseverity = {code-not-in-value-set = "warning"}\nstrict = true\n')
    result = run("x.json")
    assert "warning[code-not-in-value-set]" in result.stdout
    assert result.exit_code == 1
    write("apothecary.toml", '[validate]\ndisable = ["code-not-in-value-set"]\n')
    assert run("x.json").exit_code == 0


def test_the_configuration_reaches_what_the_readers_find_but_cannot_make_the_unreadable_valid() -> None:
    write("twice.json", json.dumps(SOUND)[:-1] + ', "id": "g"}')
    write("broken.json", "{")
    assert rules("twice.json") == [("twice.json", "duplicate-key")]
    assert rules("twice.json", "--disable=duplicate-key") == []
    assert rules("broken.json", "--disable=json-syntax") == [("broken.json", "json-syntax")]
    write("apothecary.toml", '[validate.severity]\nduplicate-key = "warning"\njson-syntax = "information"\n')
    assert run("twice.json").exit_code == 0
    assert run("broken.json").exit_code == 1


def test_excluded_files_are_passed_over_in_folders_only() -> None:
    write("all/drafts/x.json", WRONG)
    write("pyproject.toml", '[tool.apothecary.validate]\nexclude = ["*/drafts/*"]\n')
    assert rules("all") == []
    assert len(rules("all/drafts/x.json")) == 1


def test_a_baseline_hides_the_known_and_tells_the_new() -> None:
    write("x.json", WRONG)
    result = run("x.json", "--baseline=known.json", "--write-baseline")
    assert (result.exit_code, "1 findings are known" in result.stderr) == (0, True)
    result = run("x.json", "--baseline=known.json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 known from the baseline" in result.stderr
    write("x.json", "\n\n" + json.dumps({**WRONG, "foo": 1}))
    assert rules("x.json", "--baseline=known.json") == [("x.json", "unknown-element")]
    write("x.json", SOUND)
    assert "1 of the baseline no longer found" in run("x.json", "--baseline=known.json").stderr


def test_few_findings_are_told_when_few_are_asked_for_and_all_are_counted() -> None:
    write("x.json", {**WRONG, "foo": 1, "bar": 2})
    result = run("x.json", "--max-issues=1")
    assert result.stdout.count("-->") == 1
    assert "3 errors in 1 resource of 1 file; 2 more beyond the limit" in result.stderr
    assert run("x.json", "--max-issues=0").stdout.count("-->") == 3


def test_only_changed_files_are_checked_against_all() -> None:
    write("all/old.json", WRONG)
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    for command in (["init"], ["add", "."], ["commit", "--message=x"]):
        subprocess.run(["git", *identity, *command], check=True, capture_output=True)
    assert rules("all", "--changed-since=HEAD") == []
    pointing = {**SOUND, "managingEntity": {"reference": "Group/w"}}
    write("all/new.json", pointing)
    found = dict(rules("all", "--changed-since=HEAD"))
    assert "all/old.json" not in found
    assert found.get("all/new.json") != "unresolved-reference"
    assert run("all", "--changed-since=nowhere").exit_code == 2


def test_several_processes_find_the_same_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        write(f"all/{number}.json", {**(WRONG if number % 3 else SOUND), "id": f"g{number}"})
    alone = run("all", "--format=json", "--jobs=1").stdout
    monkeypatch.setattr(validate_run, "_BYTES_WORTH_A_POOL", 100)
    assert run("all", "--format=json", "--jobs=3").stdout == alone
    assert len(json.loads(alone)["findings"]) == 26


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    program = "import sys; sys.argv[0] = 'apothecary'; from apothecary.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, check=False, env=environment, **options
    )


def test_the_real_process_ends_with_the_status_and_writes_utf8_wherever_it_runs() -> None:
    write("x.json", {**WRONG, "name": "Größe", "foo": "ä"})
    done = command("validate", "x.json", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert '"foo": "ä"'.encode() in done.stdout
    assert command("validate", "-", input=json.dumps(SOUND).encode()).returncode == 0
    assert command("validate", "gone.json").returncode == 2
    assert command("no-such-command").returncode == 2


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_the_user_wants_none(no_color: str, is_coloured: bool) -> None:
    write("x.json", WRONG)
    terminal, end = pty.openpty()
    program = "from apothecary.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": no_color}
    subprocess.run(
        [sys.executable, "-c", program, "validate", "--quiet", "x.json"], stdout=end, env=environment, check=False
    )
    os.close(end)
    said = os.read(terminal, 10_000)
    os.close(terminal)
    assert b"code-not-in-value-set" in said
    assert (b"\x1b[1;31m" in said) is is_coloured


def test_validating_a_bundle_starts_at_once_and_loads_no_server() -> None:
    entries = [{"fullUrl": f"https://example.org/Group/g{n}", "resource": {**SOUND, "id": f"g{n}"}} for n in range(20)]
    write("bundle.json", {"resourceType": "Bundle", "type": "collection", "entry": entries})
    program = "from apothecary.cli import main\nmain(['validate', 'bundle.json', '--quiet'], standalone_mode=False)\n"
    ending = (
        "import atexit, json, pathlib, sys\n"
        "def tell():\n"
        "    status = pathlib.Path('/proc/self/status')\n"
        "    print(json.dumps([sorted(sys.modules), status.read_text() if status.exists() else '']))\n"
        "atexit.register(tell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ending + program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    loaded, status = json.loads(done.stdout)
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & {"flask", "werkzeug", "sqlalchemy", "psycopg", "fhir", "pydantic", "yaml", "lxml", "jsonschema"}
    assert not {"apothecary.rest", "apothecary.store", "multiprocessing", "subprocess"} & set(loaded)
    if peak := re.search(r"VmHWM:\s+(\d+) kB", status):
        assert int(peak[1]) < 80_000
