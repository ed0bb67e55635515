"""The recipes for continuous integration are whole, fit what they configure, and name one address."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from apothecary.cli.validate import validate

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "validate.md").read_text()
SOURCE: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
# Whatever names the project's repository: an address, or what GitHub resolves to one.
ADDRESS = re.compile(r"(?:github\.com/|uses: |ghcr\.io/|`)(?!server/)([\w.-]+/apothecary)\b")


def recipe(heading: str) -> str:
    """The first block below a heading."""
    found = re.search(rf"^### {re.escape(heading)}\n.*?^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def addresses(text: str) -> set[str]:
    return set(ADDRESS.findall(text))


def documents() -> list[Path]:
    names = [
        *ROOT.glob("*.md"),
        *ROOT.glob("*.yml"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / ".github").rglob("*.yml"),
    ]
    return sorted([*names, ROOT / ".pre-commit-hooks.yaml", ROOT / "pyproject.toml"])


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_page_names_the_repository_as_pyproject_does(path: Path) -> None:
    """So it is written once; where it changes, this test lists what follows."""
    assert addresses(path.read_text()) <= {SOURCE.removeprefix("https://github.com/")}


@pytest.mark.parametrize("heading", ["pre-commit", "GitHub Actions", "GitLab CI", "Any shell"])
def test_every_recipe_names_the_address(heading: str) -> None:
    assert addresses(recipe(heading)) == {SOURCE.removeprefix("https://github.com/")}


def test_another_address_is_noticed() -> None:
    text = "git+https://github.com/a/apothecary@main\n- uses: b/apothecary@v1\nsqlite:////data/apothecary.db\n`c/apothecary`"
    assert addresses(text) == {"a/apothecary", "b/apothecary", "c/apothecary"}


@pytest.mark.parametrize(("heading", "kind"), [("GitHub Actions", "github-workflows"), ("GitLab CI", "gitlab-ci")])
def test_a_recipe_is_a_whole_file_that_its_system_takes(tmp_path: Path, heading: str, kind: str) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text(recipe(heading))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_recipe_for_pre_commit_names_a_hook_that_there_is() -> None:
    (repository,) = yaml.safe_load(recipe("pre-commit"))["repos"]
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert {hook["id"] for hook in repository["hooks"]} <= hooks
    assert repository["repo"] == SOURCE


def test_the_recipe_for_github_gives_the_action_inputs_that_it_has() -> None:
    steps: list[dict[str, Any]] = yaml.safe_load(recipe("GitHub Actions"))["jobs"]["fhir"]["steps"]
    (step,) = [step for step in steps if step["uses"].startswith(SOURCE.removeprefix("https://github.com/"))]
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert step["with"].keys() <= inputs.keys()


def commands() -> list[str]:
    """Every call of `apothecary validate` in the blocks of the page."""
    blocks = "".join(re.findall(r"^```(?:console|sh|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    return re.findall(r"(?:^|[/| -])apothecary validate ([^|\n]*)", blocks, re.MULTILINE)


@pytest.mark.parametrize("arguments", commands())
def test_every_command_of_the_page_is_one_that_the_command_line_takes(arguments: str) -> None:
    with click.Context(validate) as parent:
        validate.make_context("validate", shlex.split(arguments), parent=parent)


def test_the_page_shows_commands() -> None:
    assert len(commands()) >= 10
    with pytest.raises(click.UsageError):
        validate.make_context("validate", ["resources", "--no-such-option"])


def test_the_recipe_for_any_shell_is_shell() -> None:
    done = subprocess.run(["bash", "-n"], input=recipe("Any shell"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
