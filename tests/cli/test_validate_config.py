"""The configuration is found above the working folder, and what it cannot mean is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from apothecary.cli.validate_config import Config, find_config, read_config
from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[validate", "apothecary.toml"),
        ("[other]", r"no table \[validate\]"),
        ("validate = 1", "not a table"),
        ("[validate]\nstrictt = true", "'strictt' is not a key"),
        ('[validate]\nstrict = "yes"', "strict: write true or false"),
        ('[validate]\nfhir-version = "R6"', "write R4, R4B or R5"),
        ('[validate]\ndisable = "x"', "write a list"),
        ('[validate.severity]\nx = "off"', "one of fatal, error, warning, information"),
        ("[validate]\nmax-issues = -1", "from 0"),
        ("[validate]\nmax-issues = true", "from 0"),
        ("[validate]\nbaseline = 1", "write a path"),
        ("validate = " + "[" * 50_000, r"apothecary\.toml: "),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "apothecary.toml"
    path.write_text(text)
    with pytest.raises(StartError, match=said):
        read_config(path)
