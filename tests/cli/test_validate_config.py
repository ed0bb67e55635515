"""The configuration is found above the working folder, and what it cannot mean is refused."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.cli.validate_config import Config, config_schema, find_config, read_config
from apothecary.errors import InvalidFile, StartError
from apothecary.fhir.releases import FhirVersion, parse_version

WHOLE = """
fhir-version = "4.0.1"
strict = true
disable = ["dom-6"]
severity = {bad-id = "warning"}
exclude = ["drafts/*"]
medication-rules = false
baseline = "known.json"
max-issues = 5
profiles = ["http://example.org/x", "drug.json"]
packages = ["formulary.tgz"]
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "apothecary.toml"
    path.write_text(f"[validate]\n{WHOLE}")
    expected = Config(
        fhir_version=FhirVersion.R4,
        strict=True,
        disable=("dom-6",),
        severity={"bad-id": "warning"},
        exclude=("drafts/*",),
        medication_rules=False,
        baseline=tmp_path / "known.json",
        max_issues=5,
        profiles=("http://example.org/x", str(tmp_path / "drug.json")),
        packages=(tmp_path / "formulary.tgz",),
        folder=tmp_path,
    )
    assert read_config(path) == expected
    (tmp_path / "pyproject.toml").write_text(f"[tool.apothecary.validate]\n{WHOLE}")
    assert read_config(tmp_path / "pyproject.toml") == expected


def test_the_nearest_file_with_the_table_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert not find_config(inner).strict
    (tmp_path / "pyproject.toml").write_text("[tool.apothecary.validate]\nstrict = true\n")
    (inner / "pyproject.toml").write_text("[project]\nname = 'apothecary-content'\n")
    assert find_config(inner).folder == tmp_path
    (tmp_path / "a" / "apothecary.toml").write_text("[validate]\n")
    assert find_config(inner).folder == tmp_path / "a"


@pytest.mark.parametrize("name", ["R4", "r4b", " R5 ", "4.0", "4.0.1", "4.3", "4.3.0", "5.0", "5.0.0"])
def test_a_release_is_named_in_every_form_that_options_take(tmp_path: Path, name: str) -> None:
    path = tmp_path / "apothecary.toml"
    path.write_text(f"[validate]\nfhir-version = '{name}'\n")
    assert read_config(path).fhir_version == parse_version(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[validate", ":1:10: Expected ']'"),
        ("validate = 1", ":1:12: validate: write a table"),
        ("strict = true", ":1:10: 'strict' is not a key of the file; it belongs to [validate]"),
        ("[validat]", ":1:1: 'validat' is not a key of the file (did you mean 'validate'?)"),
        ("[tool.apothecary.validate]", ":1:1: 'tool' is not a key of the file; its only key is validate"),
        ("[validate]\nstrictt = true", ":2:11: 'strictt' is not a key of [validate] (did you mean 'strict'?)"),
        ("[validate]\nverbose = true", "; its keys are baseline, disable, exclude,"),
        ('[validate]\nstrict = "yes"', ":2:10: validate.strict: write true or false"),
        ('[validate]\nfhir-version = "R6"', ":2:16: validate.fhir-version: write R4, R4B or R5"),
        ('[validate]\ndisable = "x"', ":2:11: validate.disable: write a list"),
        ("[validate]\ndisable = ['dom-6', 1]", ":2:21: validate.disable.1: write a text"),
        ("[validate]\ndisable = ['dom6']", ":2:12: there is no rule 'dom6' (did you mean 'dom-6'?)"),
        (
            '[validate.severity]\nx = "off"',
            ":2:5: validate.severity.x: write one of error, fatal, information, warning",
        ),
        ('[validate.severity]\nbadid = "error"', ":2:9: there is no rule 'badid' (did you mean 'bad-id'?)"),
        ("[validate]\nmax-issues = -1", ":2:14: validate.max-issues: write a number from 0"),
        ("[validate]\nmax-issues = true", ":2:14: validate.max-issues: write a whole number"),
        ("[validate]\nmax-issues = 1.0", ":2:14: validate.max-issues: write a whole number"),
        ("[validate]\nbaseline = 2020-01-01", ":2:12: validate.baseline: write a text"),
        ("[validate.exclude]", ":1:1: validate.exclude: write a list"),
        ("validate = " + "[" * 50_000, ": arrays and inline tables are nested too deeply"),
    ],
)
@pytest.mark.parametrize("read", [read_config, lambda path: find_config(path.parent)])
def test_what_means_nothing_is_refused_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str, read: Callable[[Path], Config]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "apothecary.toml"
    path.write_text(text)
    with pytest.raises(InvalidFile) as caught:
        read(path)
    assert f"apothecary.toml{said}" in str(caught.value) or (said[0] == ";" and said in str(caught.value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'disable = ["dom-6"]',
            ":2:11: 'disable' is not a key of [tool.apothecary]; it belongs to [tool.apothecary.validate]",
        ),
        ("[tool.apothecary.validat]", ":2:1: 'validat' is not a key of [tool.apothecary] (did you mean 'validate'?)"),
        ("validate.strict = 1", ":2:19: validate.strict: write true or false"),
        ("[[tool.apothecary.validate]]", ":2:1: validate: write a table"),
    ],
)
def test_in_pyproject_the_tables_are_below_tool_apothecary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f"[tool.apothecary]\n{text}\n")
    with pytest.raises(InvalidFile) as caught:
        find_config(tmp_path)
    assert f"pyproject.toml{said}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[tool.apothecary]",
        "[tool]\nother = 'apothecary'",
        "tool = 'apothecary'",
        "tool = ['apothecary']",
        "[project]\nname = 'apothecary'\n[validate]\nstrictt = 1",
    ],
)
def test_what_is_not_our_table_is_none_of_our_business(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(StartError, match=r"has no table \[tool.apothecary.validate\]"):
        read_config(tmp_path / "pyproject.toml")


def test_a_file_that_has_no_table_is_refused_only_when_it_was_named(tmp_path: Path) -> None:
    path = tmp_path / "apothecary.toml"
    path.write_text("# nothing yet\n")
    assert find_config(tmp_path) == Config()
    with pytest.raises(StartError, match=r"has no table \[validate\]"):
        read_config(path)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "apothecary.toml"
    path.write_bytes(b"[validate]\n# caf\xe9\n")
    with pytest.raises(InvalidFile, match=r"apothecary\.toml:2:1: the line is not UTF-8"):
        read_config(path)


def test_all_faults_are_told_at_once_bare_and_with_status_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("apothecary.toml").write_text("disable = []\n[validate]\nstrictt = true\nmax-issues = -1\n")
    result = CliRunner().invoke(main, ["validate", "."])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.split("\n") == [
        "apothecary.toml:1:11: 'disable' is not a key of the file; it belongs to [validate]",
        "apothecary.toml:3:11: 'strictt' is not a key of [validate] (did you mean 'strict'?)",
        "apothecary.toml:4:14: validate.max-issues: write a number from 0",
        "",
    ]


def test_the_documented_configuration_is_sound_by_the_schema_that_editors_use(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "validate.md").read_text()
    shown = next(one for one in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[validate]" in one)
    document = tomllib.loads(shown)
    jsonschema.Draft202012Validator(config_schema()).validate(document)
    (tmp_path / "apothecary.toml").write_text(shown)
    assert read_config(tmp_path / "apothecary.toml").max_issues == 100
    keys = set(config_schema()["$defs"]["ValidateTable"]["properties"])
    assert keys == set(document["validate"]), "the page shows every key"


def test_a_sound_configuration_is_read_without_loading_jsonschema(tmp_path: Path) -> None:
    (tmp_path / "apothecary.toml").write_text(f"[validate]\n{WHOLE}")
    program = (
        "import sys; from pathlib import Path; from apothecary.cli.validate_config import find_config; "
        "find_config(Path.cwd()); print([one for one in ('jsonschema', 'yaml', 'difflib') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
