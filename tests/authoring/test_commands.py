"""The commands of authors: build, new, import-sheet, diff and the schemas, as they are called."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from apothecary.cli import main
from tests.authoring.sheets import content_folder
from tests.content.monograph import RESOURCES, ROOT, TEST_SHEETS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return content_folder(tmp_path / "content")


def edit(root: Path, before: str, after: str) -> None:
    path = root / "sheets" / "examplamine.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_build_writes_once_and_check_says_when_it_would(root: Path) -> None:
    before = files(root)
    told = run("build", "--content", root, "--check")
    assert told.exit_code == 1
    assert "differs" in told.output
    assert files(root) == before
    assert run("build", "--content", root).exit_code == 0
    built = files(root)
    assert "MedicationKnowledge/examplamine.json" in built
    assert "claims.csv" in built
    again = run("build", "--content", root, "--check")
    assert (again.exit_code, again.stdout) == (0, "")
    assert run("build", "--content", root).exit_code == 0
    assert files(root) == built


def test_a_file_that_was_changed_by_hand_is_named_and_built_anew(root: Path) -> None:
    run("build", "--content", root)
    path = root / "ClinicalUseDefinition" / "examplamine-kites.json"
    built = path.read_bytes()
    path.write_bytes(built.replace(b"fly kites", b"fly planes"))
    told = run("build", "--content", root, "--check")
    assert told.exit_code == 1
    assert told.stdout == f"differs {path}\n"
    run("build", "--content", root)
    assert path.read_bytes() == built


def test_a_wrong_sheet_ends_with_status_2_its_places_and_nothing_written(root: Path) -> None:
    run("build", "--content", root)
    before = files(root)
    edit(root, "made-up|ACHE", "made-up|NONE")
    broken = {**before, "sheets/examplamine.yaml": (root / "sheets" / "examplamine.yaml").read_bytes()}
    told = run("build", "--content", root)
    assert told.exit_code == 2
    assert re.match(r".*/sheets/examplamine\.yaml:\d+:\d+: made-up holds no code 'NONE'", told.stderr)
    assert files(root) == broken


def test_build_takes_the_sheets_of_the_folder_and_no_others(root: Path, tmp_path: Path) -> None:
    assert run("build", "--content", root, root / "sheets" / "examplamine.yaml").exit_code == 0
    assert "is no sheet in" in run("build", "--content", root, TEST_SHEETS / "examplamine.yaml").stderr
    assert run("build", "--content", tmp_path / "nowhere").exit_code == 2
    (root / "sheets" / "examplamine.yaml").unlink()
    assert "there are no sheets" in run("build", "--content", root).stderr


def test_of_two_drugs_one_is_built_and_what_they_share_is_of_both(root: Path) -> None:
    assert run("new", "otheramine", "--content", root).exit_code == 0
    assert run("build", "--content", root, root / "sheets" / "otheramine.yaml").exit_code == 0
    assert (root / "MedicationKnowledge" / "otheramine.json").exists()
    assert not (root / "MedicationKnowledge" / "examplamine.json").exists()
    assert "examplamine:S1," in (root / "claims.csv").read_text(encoding="utf-8")


def test_a_new_sheet_is_sound_is_commented_and_replaces_none(root: Path) -> None:
    assert run("new", "aspirin", "--content", root).exit_code == 0
    text = (root / "sheets" / "aspirin.yaml").read_text(encoding="utf-8")
    schema = json.loads((root / "sheets" / "sheet.schema.json").read_text(encoding="utf-8"))
    assert text.startswith("# yaml-language-server: $schema=sheet.schema.json\n")
    Draft202012Validator(schema).validate(yaml.safe_load(text))
    # The parts of a sheet are all there, as they are or in a comment.
    for key in schema["$defs"]["Sheet"]["properties"]:
        if key not in ("status", "ids", "evidence", "discrepancies"):
            assert re.search(rf"^(# )?{key}:", text, re.MULTILINE), key
    assert run("build", "--content", root).exit_code == 0
    again = run("new", "aspirin", "--content", root)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert (root / "sheets" / "aspirin.yaml").read_text(encoding="utf-8") == text


def test_what_a_new_sheet_has_in_comments_can_be_built(root: Path) -> None:
    run("new", "aspirin", "--content", root)
    path = root / "sheets" / "aspirin.yaml"
    head, _, rest = path.read_text(encoding="utf-8").partition("\n")
    text = head + "\n" + re.sub(r"(?m)^( *)# (?=[a-z-]+:|- |  )", r"\1", rest)
    for before, after in (("codes: [rx|...]", "codes: []"), (", codes: [icd|R51]", ""), ("    S1: {", _claims())):
        assert before in text
        text = text.replace(before, after)
    text = re.sub(r"(?m)^status: approved.*\n", "", text)
    text = re.sub(r"(?m)^ *sha256:.*\n", "", text)
    # It stands in a comment as something else.
    text = text.replace("- {title: Indications and usage, absent: source}\n", "", 1)
    path.write_text(text, encoding="utf-8")
    told = run("build", "--content", root)
    assert told.exit_code == 0, told.stderr
    assert (root / "ClinicalUseDefinition" / "aspirin-warfarin.json").exists()
    assert (root / "PackagedProductDefinition" / "aspirin-10-mg-tablet-blister-30.json").exists()


def _claims() -> str:
    return "".join(f"    S{number}: {{line: 1, says: claim {number}}}\n" for number in range(2, 14)) + "    S1: {"


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "x" * 65, "-c"])
def test_a_name_that_is_no_id_makes_no_sheet(name: str, root: Path) -> None:
    before = files(root)
    assert run("new", "--content", root, "--", name).exit_code == 2
    assert files(root) == before


def test_a_folder_without_the_code_systems_that_sheets_use_is_told(root: Path) -> None:
    (root / "CodeSystem" / "effect-statement.json").unlink()
    before = files(root)
    for told in (run("new", "x", "--content", root), run("build", "--content", root)):
        assert told.exit_code == 2
        assert "lacks the code systems that sheets use: effect-statement. Copy CodeSystem" in told.stderr
    assert files(root) == before


def test_the_first_sheet_of_a_folder_comes_with_an_empty_list_of_codes(root: Path) -> None:
    for path in (root / "sheets").iterdir():
        path.unlink()
    assert run("new", "aspirin", "--content", root).exit_code == 0
    assert {path.name for path in (root / "sheets").iterdir()} == {
        *("aspirin.yaml", "terminologies.yaml", "sheet.schema.json", "terminologies.schema.json")
    }
    assert run("build", "--content", root).exit_code == 0
    assert (root / "MedicationKnowledge" / "aspirin.json").exists()
    # What stands there as an example is one.
    lines = (root / "sheets" / "terminologies.yaml").read_text(encoding="utf-8").splitlines()
    example = "terminologies:\n" + "\n".join(line[2:] for line in lines[2:-1]) + "\n"
    (root / "sheets" / "terminologies.yaml").write_text(example, encoding="utf-8")
    sheet = root / "sheets" / "aspirin.yaml"
    text = sheet.read_text(encoding="utf-8").replace("  # codes: [rx|...]", "  codes: [rx|1191]")
    sheet.write_text(text, encoding="utf-8")
    assert run("build", "--content", root).exit_code == 0
    assert (root / "CodeSystem" / "rxnorm-fragment.json").exists()


def test_a_new_sheet_names_its_editors(root: Path) -> None:
    assert "no Organization/nobody" in run("new", "x", "--content", root, "--editors", "nobody").stderr
    (root / "Organization" / "other.json").write_text(
        '{"resourceType": "Organization", "id": "other", "name": "Other"}', encoding="utf-8"
    )
    assert "--editors" in run("new", "x", "--content", root).stderr
    assert run("new", "x", "--content", root, "--editors", "other").exit_code == 0
    assert "editors: other\n" in (root / "sheets" / "x.yaml").read_text(encoding="utf-8")


def test_an_imported_sheet_builds_the_resources_it_came_from(root: Path) -> None:
    run("build", "--content", root)
    built = files(root)
    path = root / "sheets" / "examplamine.yaml"
    assert run("import-sheet", "examplamine", "--content", root, "--output", path).exit_code == 0
    assert path.read_bytes() != built["sheets/examplamine.yaml"]
    assert run("build", "--content", root, "--check").exit_code == 0
    assert run("import-sheet", "examplamine", "--content", root).stdout.encode() == path.read_bytes()


def test_what_a_sheet_has_no_room_for_is_named(root: Path) -> None:
    run("build", "--content", root)
    path = root / "ClinicalUseDefinition" / "examplamine-kites.json"
    resource = json.loads(path.read_text(encoding="utf-8"))
    resource["library"] = ["https://example.org/library"]
    path.write_text(json.dumps(resource), encoding="utf-8")
    told = run("import-sheet", "examplamine", "--content", root)
    assert told.exit_code == 1
    assert told.stderr == "ClinicalUseDefinition/examplamine-kites library: has no place in a sheet\n"
    assert run("import-sheet", "nothing", "--content", root).exit_code == 2


@pytest.mark.parametrize("name", ["sheet", "terminologies"])
def test_the_schemas_of_the_folder_are_those_of_the_command(name: str) -> None:
    printed = json.loads(run("schema", name).stdout)
    Draft202012Validator.check_schema(printed)
    assert json.loads((RESOURCES / "sheets" / f"{name}.schema.json").read_text(encoding="utf-8")) == printed
    files = {"sheet": ["clonazepam.yaml"], "terminologies": ["terminologies.yaml"]}[name]
    for each in files:
        value = yaml.safe_load((RESOURCES / "sheets" / each).read_text(encoding="utf-8"))
        Draft202012Validator(printed).validate(value)


def test_the_schema_of_sheets_says_what_its_parts_mean() -> None:
    definitions: dict[str, Any] = json.loads(run("schema", "sheet").stdout)["$defs"]
    assert [name for name, one in definitions.items() if "description" not in one] == []


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid", "-C", str(root), *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repository(root: Path) -> Path:
    run("build", "--content", root)
    git(root.parent, "init", "-q", "-b", "main")
    git(root.parent, "add", "-A")
    git(root.parent, "commit", "-qm", "one")
    return root


def test_a_diff_tells_what_a_sheet_changed_in_meaning(repository: Path) -> None:
    assert run("diff", "HEAD", "--content", repository).stdout == "nothing changed in meaning\n"
    edit(repository, "status: unspecified\n  effect", "status: off-label\n  status-claims: [S5]\n  effect")
    edit(repository, "strength: 12.50 mg", "strength: 12.5 mg")
    edit(repository, "codes: ['~made-up|ITCH']", "codes: [made-up|STATE]")
    edit(repository, "codes: [made-up|ACHE]", "codes: [<made-up|ACHE]")
    edit(repository, "- id: kites\n", "- id: dragons\n")
    run("build", "--content", repository)
    told = run("diff", "HEAD", "--content", repository)
    assert told.exit_code == 0
    said = told.stdout
    assert "  Uses\n    ~ made-up ache (status not stated) [ache]\n        status: unspecified -> off-label\n" in said
    assert "strength: 12.50 mg -> 12.5 mg" in said
    assert "condition.codes: removed ~made-up|ITCH" in said
    assert "use.codes: made-up|ACHE -> <made-up|ACHE" in said
    assert "condition.codes: added made-up|STATE" in said
    assert "    - kites\n" in said
    assert "    + kites [dragons]\n" in said
    assert "Other resources" not in said
    assert run("diff", "HEAD", "--content", repository, "--exit-code").exit_code == 1


def test_a_diff_between_two_revisions_ignores_the_files_as_they_are(repository: Path) -> None:
    edit(repository, "says: Do not fly kites after it", "says: Fly no kites after it")
    run("build", "--content", repository)
    git(repository.parent, "commit", "-qam", "two")
    edit(repository, "description: Do not fly", "description: Never fly")
    run("build", "--content", repository)
    said = run("diff", "HEAD~1", "HEAD", "--content", repository).stdout
    assert "claims.S11.says: Do not fly kites after it -> Fly no kites after it" in said
    assert "Never" not in said


def test_a_diff_is_markdown_for_a_pull_request_and_json_for_tools(repository: Path) -> None:
    edit(repository, "  description: Do not fly kites", "  description: Do *not* fly <b>kites</b>")
    run("build", "--content", repository)
    text = run("diff", "HEAD", "--content", repository, "--format", "markdown").stdout
    assert text.startswith("1 changed.\n\n## examplamine\n\n### Warnings\n\n- **changed** kites\n")
    assert r"Do \*not\* fly \<b\>kites\</b\>" in text
    (drug,) = json.loads(run("diff", "HEAD", "--content", repository, "--format", "json").stdout)["drugs"]
    assert drug["drug"] == "examplamine"
    (change,) = drug["changes"]
    assert change == {
        "part": "warnings",
        "item": "kites",
        "label": "kites",
        "change": "changed",
        "path": "description",
        "before": "Do not fly kites after taking it.",
        "after": "Do *not* fly <b>kites</b> after taking it.",
    }


def test_what_no_sheet_says_is_named_in_a_diff(repository: Path) -> None:
    path = repository / "Organization" / "apothecary-content-editors.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"active": true', '"active": false'), encoding="utf-8")
    kites = repository / "ClinicalUseDefinition" / "examplamine-kites.json"
    resource = json.loads(kites.read_text(encoding="utf-8"))
    kites.write_text(json.dumps({**resource, "library": ["https://example.org/library"]}), encoding="utf-8")
    said = run("diff", "HEAD", "--content", repository).stdout
    assert "~ Organization/apothecary-content-editors\n" in said
    assert "~ ClinicalUseDefinition/examplamine-kites\n" in said


def test_a_drug_that_is_new_or_gone_is_told_part_by_part(repository: Path) -> None:
    run("new", "otheramine", "--content", repository)
    run("build", "--content", repository)
    assert "otheramine\n  The drug\n    + otheramine\n" in run("diff", "HEAD", "--content", repository).stdout
    git(repository.parent, "add", "-A")
    git(repository.parent, "commit", "-qm", "two")
    said = run("diff", "HEAD", "HEAD~1", "--content", repository).stdout
    assert "otheramine\n  The drug\n    - otheramine\n" in said


@pytest.mark.parametrize("revision", ["nothing", "--output=x", "HEAD:content"])
def test_a_revision_that_git_does_not_have_is_told(revision: str, repository: Path) -> None:
    told = run("diff", "--content", repository, "--", revision)
    assert told.exit_code == 2
    assert told.stderr.startswith("Error: ")


def test_no_file_of_the_shipped_content_is_stale() -> None:
    told = run("build", "--content", ROOT / "resources", "--check", "--narratives")
    assert (told.exit_code, told.stdout) == (0, "")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("MedicationKnowledge/examplamine", {"indicationGuideline": [{}]}),
        ("MedicationKnowledge/examplamine", {"monograph": [{"type": {"text": "x"}}]}),
        ("MedicationKnowledge/examplamine", {"definitional": {"ingredient": [{"item": {"concept": {}}}]}}),
        ("MedicationKnowledge/examplamine", {"extension": [{"url": "https://example.org/other"}]}),
        ("MedicationKnowledge/examplamine", {"code": {"coding": [{}]}}),
        ("ClinicalUseDefinition/examplamine-ache", {"category": []}),
        ("ClinicalUseDefinition/examplamine-ache", {"indication": {"durationRange": {}}}),
        ("ClinicalUseDefinition/examplamine-itch", {"warning": {"code": {"text": "x"}}}),
        ("Composition/examplamine-monograph", {"section": [{"title": "x"}]}),
        ("Composition/examplamine-monograph", {"note": [{}]}),
        ("Evidence/examplamine-study", {"variableDefinition": [{}], "certainty": []}),
        ("Provenance/examplamine-source-to-structure", {"entity": [{"role": "source"}]}),
        ("ArtifactAssessment/examplamine-discrepancy-01", {"content": []}),
        ("DocumentReference/examplamine-source", {"content": [{"attachment": {"size": "many"}}]}),
    ],
    ids=str,
)
def test_resources_of_any_form_are_told_of_and_never_a_traceback(
    name: str, change: dict[str, Any], repository: Path
) -> None:
    path = repository / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    told = run("import-sheet", "examplamine", "--content", repository)
    assert told.exit_code in (1, 2), told.output
    assert told.stderr
    assert not told.exception or isinstance(told.exception, SystemExit)
    compared = run("diff", "HEAD", "--content", repository)
    assert compared.exit_code == 0, compared.output
    assert compared.stdout != "nothing changed in meaning\n"
    # Building makes them anew.
    assert run("build", "--content", repository).exit_code == 0
    assert run("diff", "HEAD", "--content", repository).stdout == "nothing changed in meaning\n"


def test_what_resources_are_built_from_is_neither_checked_nor_loaded_as_one(root: Path, tmp_path: Path) -> None:
    run("build", "--content", root)
    # The list of codes names systems of FHIR.
    terms = root / "sheets" / "terminologies.yaml"
    terms.write_text(terms.read_text(encoding="utf-8") + "# http://hl7.org/fhir/sid/icd-10-cm\n", encoding="utf-8")
    checked = run("validate", root)
    assert checked.exit_code == 0, checked.output
    assert "4 files without FHIR skipped" in checked.stderr
    loaded = run("load", root, "--database", f"sqlite:///{tmp_path / 'loaded.db'}")
    assert loaded.exit_code == 0, loaded.output
    assert "0 failed" in loaded.output
