"""What is installed is what pyproject.toml declares, pinned to the hash, for every Python that it supports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {
    "run": PROJECT["project"]["dependencies"],
    "dev": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["dependency-groups"]["build"],
    ],
    "build": [*PROJECT["build-system"]["requires"], *PROJECT["dependency-groups"]["build"]],
    "lock": PROJECT["dependency-groups"]["lock"],
    "ha": PROJECT["dependency-groups"]["ha"],
    "clients": PROJECT["dependency-groups"]["clients"],
    "supply": PROJECT["dependency-groups"]["supply"],
}
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", line)]


def entries(text: str) -> list[str]:
    """Each requirement of a file with its options, continued lines joined and comments gone."""
    joined = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def pins(text: str) -> list[Requirement]:
    return [Requirement(entry.partition(" --hash")[0]) for entry in entries(text)]


def unmet(declared: list[str], text: str, python: str) -> list[str]:
    """The declared dependencies for which `text` pins no version that they allow, on one Python on Linux."""
    place = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    pinned = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in pins(text)
        if one.marker is None or one.marker.evaluate(place)
    }
    wanted = [one for one in map(Requirement, declared) if one.marker is None or one.marker.evaluate(place)]
    return [
        str(one)
        for one in wanted
        if (name := canonicalize_name(one.name)) not in pinned or not one.specifier.contains(pinned[name])
    ]


def unsafe(text: str) -> list[str]:
    """The entries that are not one version with its SHA-256s, or that say where to look."""
    pattern = r"[\w.-]+==[\w.!+-]+( ; [^:]+)?( --hash=sha256:[0-9a-f]{64})+"
    return [entry for entry in entries(text) if not re.fullmatch(pattern, entry)]


def read(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_every_declared_dependency_is_pinned_to_a_version_that_it_allows(name: str, python: str) -> None:
    assert unmet(LOCKS[name], read(name), python) == [], "make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_no_file_names_a_host(name: str) -> None:
    assert unsafe(read(name)) == []
    assert "://" not in read(name)


def test_there_is_no_other_requirement_file() -> None:
    assert {path.stem for path in (ROOT / "requirements").iterdir()} == set(LOCKS)


def test_the_files_agree_on_the_version_of_a_package() -> None:
    """The tests' file is the measure. For what a package is wanted may differ, and with it the marker."""

    def versions(name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in pins(read(name)):
            found.setdefault(canonicalize_name(one.name), set()).add(str(one.specifier))
        return found

    measure = versions("dev")
    for name in LOCKS:
        assert {one: found for one, found in versions(name).items() if not found <= measure.get(one, found)} == {}, name


HASH = f"--hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (f"some-package==2.0 \\\n    {HASH}\n", []),
        (f"some-package==2.0 ; sys_platform == 'linux' \\\n    {HASH}\n", []),
        (f"some-package==2.0 ; python_full_version < '3.11' \\\n    {HASH}\n", ["Some.Package>=1.5"]),
        (f"some-package==1.4 \\\n    {HASH}\n", ["Some.Package>=1.5"]),
        (f"other==2.0 \\\n    {HASH}\n", ["Some.Package>=1.5"]),
    ],
)
def test_a_dependency_without_its_pin_would_be_noticed(text: str, missing: list[str]) -> None:
    assert unmet(["Some.Package>=1.5"], text, "3.11") == missing
    assert unsafe(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "some-package==2.0\n",
        f"some-package>=2.0 {HASH}\n",
        f"some-package==2.0 {HASH[:-1]}\n",
        f"some-package @ https://example.org/some-package.tar.gz {HASH}\n",
        "--index-url https://example.org/simple\n",
        "--find-links /somewhere\n",
    ],
)
def test_what_is_not_pinned_or_says_where_to_look_would_be_noticed(text: str) -> None:
    assert unsafe(text) != []
