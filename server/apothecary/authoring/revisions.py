"""A content folder as it was at a revision of git: https://git-scm.com/docs/git-archive"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

from apothecary.authoring import ledger
from apothecary.errors import ContentError, StartError
from apothecary.fhir.json import JSON, parse

# The most that one revision of a content folder may hold, in bytes.
MAX_REVISION = 512 * 1024 * 1024


def at_revision(folder: Path, revision: str) -> tuple[list[JSON], str]:
    """The resources of `folder` at a revision, and its ledger. Raises StartError where git cannot give them."""
    if revision.startswith("-"):
        raise StartError(f"{revision!r} is no revision")
    try:
        done = subprocess.run(  # noqa: S603 - the user's own git
            ["git", "-C", str(folder), "archive", "--format=tar", revision, "."],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise StartError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise StartError(f"git has no {folder} at {revision}: {said}")
    if len(done.stdout) > MAX_REVISION:
        raise StartError(f"{folder} at {revision} is longer than {MAX_REVISION} bytes")
    return _unpacked(done.stdout, f"{revision}:{folder}")


def _unpacked(archive: bytes, whence: str) -> tuple[list[JSON], str]:
    resources: list[JSON] = []
    table = ""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            parts = member.name.removeprefix("./").split("/")
            stream = files.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            if parts == [ledger.FILE]:
                table = stream.read().decode("utf-8", "replace")
            elif len(parts) == 2 and parts[0][:1].isupper() and parts[1].endswith(".json"):
                try:
                    value = parse(stream.read())
                except (ValueError, json.JSONDecodeError) as error:
                    raise ContentError(f"{whence}/{'/'.join(parts)}", 0, 0, f"is no JSON: {error}") from error
                if isinstance(value, dict) and value.get("resourceType") == parts[0] and "id" in value:
                    resources.append(value)
    return resources, table
