"""What a release must agree on, and what it says of itself: `python -m scripts.release check|notes TAG`.

Needs nothing but Python's library, because the release workflow runs it before anything is installed. The changelog is
read as https://keepachangelog.com/en/1.1.0/ has it; tags are `v` and the version of `pyproject.toml`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def section(changelog: str, version: str) -> str:
    """What the changelog says under the heading of `version`; empty where there is no such heading."""
    found = re.search(
        rf"^## \[?{re.escape(version)}\]?(?: [^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    return found[1].strip() if found else ""


def problems(tag: str, repository: str | None, root: Path = ROOT) -> list[str]:
    """Why `tag` cannot be released from `repository` (owner/name), one sentence each; none where it can."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    if tag != f"v{project['version']}":
        found.append(f"The tag is {tag}, but pyproject.toml has the version {project['version']}.")
    if not section((root / "CHANGELOG.md").read_text(encoding="utf-8"), tag.removeprefix("v")):
        found.append(f"CHANGELOG.md says nothing under '## [{tag.removeprefix('v')}]'.")
    address = project["urls"]["Source"]
    if repository and address != f"https://github.com/{repository}":
        found.append(f"pyproject.toml has the source at {address}, but this is https://github.com/{repository}.")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Status 0, or 1 with the reasons on standard error."""
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__)
    parser.add_argument("do", choices=["check", "notes"])
    parser.add_argument("tag")
    parser.add_argument("--repository", help="owner/name on GitHub")
    options = parser.parse_args(arguments)
    if options.do == "notes":
        print(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), options.tag.removeprefix("v")))
        return 0
    found = problems(options.tag, options.repository)
    for each in found:
        print(each, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
