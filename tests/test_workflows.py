"""The workflows are ones that GitHub takes, hold together, and may do no more than they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.release import main, problems, section

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
# What may be written, and by which job. A job that is not here reads, or does not even that.
WRITES = {
    ("release.yml", "attest"): {"id-token", "attestations"},
    ("release.yml", "pypi"): {"id-token"},
    ("release.yml", "image"): {"packages", "id-token", "attestations"},
    ("release.yml", "page"): {"contents"},
}


def read(path: Path) -> dict[str, Any]:
    # To YAML 1.1, which this library reads, the key `on` is the boolean.
    text = re.sub(r"^on:", '"on":', path.read_text(), flags=re.MULTILINE)
    workflow: dict[str, Any] = yaml.safe_load(text)
    return workflow


def jobs() -> list[Any]:
    return [
        pytest.param(path.name, name, every, id=f"{path.name} {name}")
        for path in WORKFLOWS
        for every in [read(path)["jobs"]]
        for name in every
    ]


def schema(kind: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Check files against a schema that the tool brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def needed(job: dict[str, Any]) -> set[str]:
    """The jobs that `job` waits for."""
    needs = job.get("needs", [])
    return {needs} if isinstance(needs, str) else set(needs)


@pytest.mark.parametrize(
    ("kind", "paths"), [("github-workflows", WORKFLOWS), ("github-actions", [ROOT / "action.yml", *ACTIONS])]
)
def test_every_workflow_and_action_is_one_that_github_takes(kind: str, paths: list[Path]) -> None:
    done = schema(kind, *paths)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_that_github_refuses_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text("on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    step: []\n")
    assert schema("github-workflows", path).returncode == 1


def test_no_workflow_has_a_known_weakness() -> None:
    """No template injection, no broad permission, no unpinned action: https://docs.zizmor.sh/audits/."""
    # What it is not sure of is left out: that checkout keeps its read-only token is one of them.
    options = ["--offline", "--no-progress", "--min-confidence=medium"]
    done = subprocess.run(
        [Path(sys.executable).with_name("zizmor"), *options, ".github", "action.yml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "name", "every"), jobs())
def test_a_job_waits_only_for_jobs_that_exist_and_uses_only_those(file: str, name: str, every: dict[str, Any]) -> None:
    job = every[name]
    assert needed(job) <= every.keys() - {name}
    assert set(re.findall(r"\bneeds\.([\w-]+)", yaml.safe_dump(job))) <= needed(job)


@pytest.mark.parametrize(("file", "name", "every"), jobs())
def test_a_job_may_write_only_what_is_listed(file: str, name: str, every: dict[str, Any]) -> None:
    default = read(ROOT / ".github" / "workflows" / file)["permissions"]
    granted = every[name].get("permissions", default)
    assert isinstance(granted, dict), "neither read-all nor write-all"
    assert {scope for scope, access in granted.items() if access == "write"} == WRITES.get((file, name), set())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


def test_an_action_is_one_commit_wherever_it_is_used() -> None:
    used = {found for path in WORKFLOWS for found in re.findall(r"uses: (\S+@[0-9a-f]{40} # \S+)", path.read_text())}
    assert len({one.partition("@")[0] for one in used}) == len(used)


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml"])
def test_every_image_is_one_digest(file: str) -> None:
    text = (ROOT / file).read_text()
    found = re.findall(r"^(?:FROM|\s+image:) (\S+:\S+)", text, re.MULTILINE)
    assert found
    assert [one for one in found if not re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", one)] == []
    assert len({one.partition(":")[0] for one in found}) == len(set(found))


def test_nothing_is_installed_in_a_workflow_but_what_is_pinned() -> None:
    for path in WORKFLOWS:
        installs = re.findall(r"pip install [^\n]*", path.read_text())
        assert [one for one in installs if "--require-hashes" not in one] == []


def test_dependabot_looks_after_all_that_is_pinned() -> None:
    path = ROOT / ".github" / "dependabot.yml"
    done = schema("dependabot", path)
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = {one["package-ecosystem"]: one["directory"] for one in yaml.safe_load(path.read_text())["updates"]}
    assert kinds.keys() == {"github-actions", "docker", "docker-compose", "pip"}
    assert all((ROOT / directory.lstrip("/")).is_dir() for directory in kinds.values())


@pytest.mark.parametrize(("file", "name", "every"), jobs())
def test_a_script_that_a_job_runs_exists(file: str, name: str, every: dict[str, Any]) -> None:
    for step in every[name]["steps"]:
        for script in re.findall(r"(?<![\w/])(\.ci/[\w-]+)", step.get("run", "")):
            assert (ROOT / script).stat().st_mode & 0o111, script
        for module in re.findall(r"python -m (scripts\.\w+)", step.get("run", "")):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def test_nothing_is_published_before_it_was_tried_and_attested() -> None:
    every = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert needed(every["attest"]) >= {"build", "try"}
    assert all("attest" in needed(every[name]) for name in ("pypi", "image", "page"))


CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n### Added\n- A.\n\n## [1.1.0]\n- B.\n"


@pytest.mark.parametrize(
    ("version", "text"),
    [("1.2.0", "### Added\n- A."), ("1.1.0", "- B."), ("1.0.0", ""), ("1.2", ""), ("Unreleased", "")],
)
def test_the_notes_are_the_section_of_the_version(version: str, text: str) -> None:
    assert section(CHANGELOG, version) == text


@pytest.mark.parametrize(
    ("tag", "repository", "words"),
    [
        ("v1.2.0", "us/apothecary", []),
        ("v1.2.0", None, []),
        ("v1.3.0", None, ["The tag is v1.3.0", "nothing under '## [1.3.0]'"]),
        ("1.2.0", None, ["The tag is 1.2.0"]),
        ("v1.2.0", "them/apothecary", ["this is https://github.com/them/apothecary"]),
    ],
)
def test_what_does_not_agree_stops_a_release(
    tmp_path: Path, tag: str, repository: str | None, words: list[str]
) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.0"\nurls = {Source = "https://github.com/us/apothecary"}\n'
    )
    found = problems(tag, repository, tmp_path)
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_the_command_says_what_stops_a_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "v0.0.0"]) == 1
    assert "The tag is v0.0.0" in capsys.readouterr().err
