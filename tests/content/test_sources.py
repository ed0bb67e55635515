"""What is named is checked, and nothing else: files, folders, globs, and what git says changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from apothecary.content.sources import Source, changed_since, sources
from apothecary.errors import StartError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.json", "a/x.yaml", "a/y.XML", "a/z.ndjson", "a/notes.md", ".git/x.json", "a/.hidden.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["."], ["./b.json", "./a/x.yaml", "./a/y.XML", "./a/z.ndjson"]),
        (["a", "b.json"], ["a/x.yaml", "a/y.XML", "a/z.ndjson", "b.json"]),
        (["b.json", ".", "./b.json"], ["b.json", "./a/x.yaml", "./a/y.XML", "./a/z.ndjson"]),
        (["a/notes.md"], ["a/notes.md"]),
        (["**/*.json"], ["b.json"]),
        (["a/*.[yX]*"], ["a/x.yaml", "a/y.XML"]),
        (["-"], ["-"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_paths_mean_their_files_each_once(paths: list[str], found: list[str]) -> None:
    assert [source.path for source in sources(paths)] == found


@pytest.mark.usefixtures("folder")
def test_a_file_in_a_folder_is_not_named_but_one_of_a_glob_is() -> None:
    assert sources(["a"])[0] == Source("a/x.yaml", named=False)
    assert sources(["a/x.*"]) == [Source("a/x.yaml", named=True)]


@pytest.mark.parametrize(("path", "reason"), [("gone.json", "no such file"), ("*.gone", "no file matches")])
@pytest.mark.usefixtures("folder")
def test_a_check_of_nothing_is_an_error(path: str, reason: str) -> None:
    with pytest.raises(StartError, match=reason):
        sources([path])


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path) -> Path:
    for path in (folder / ".git").iterdir():
        path.unlink()
    git("init", "--initial-branch=trunk")
    git("add", ".")
    git("commit", "--message=start")
    return folder


def changed(revision: str) -> list[str]:
    return [source.path for source in changed_since(revision, sources(["."]))]


def test_only_what_git_says_changed_is_checked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed("HEAD") == []
    (repository / "b.json").write_text("[]")
    (repository / "new.json").write_text("{}")
    assert changed("HEAD") == ["./b.json", "./new.json"]
    git("checkout", "-b", "work")
    git("add", ".")
    git("commit", "--message=work")
    assert changed("HEAD") == []
    assert changed("trunk") == ["./b.json", "./new.json"]
    git("checkout", "trunk")
    (repository / "a" / "x.yaml").write_text("a: 1")
    git("commit", "--all", "--message=meanwhile")
    git("checkout", "work")
    # What others did meanwhile is not this work's change.
    assert changed("trunk") == ["./b.json", "./new.json"]
    monkeypatch.chdir(repository / "a")
    (repository / "a" / "x.yaml").write_text("a: 2")
    assert changed("HEAD") == ["./x.yaml"]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("revision", ["no-such-revision", "--output=stolen"])
def test_a_revision_that_git_does_not_know_is_an_error(revision: str) -> None:
    with pytest.raises(StartError, match="git could not list"):
        changed_since(revision, [])
    assert not Path("stolen").exists()


def test_without_a_repository_nothing_can_be_said_to_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StartError, match="git could not list"):
        changed_since("HEAD", [])
