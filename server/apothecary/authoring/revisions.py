"""A content folder as it was at a revision of git: https://git-scm.com/docs/git-archive"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from apothecary.authoring import ledger
from apothecary.content.git import git
from apothecary.errors import ContentError, StartError
from apothecary.fhir.json import JSON, parse

# The most that one revision of a content folder may hold, in bytes.
MAX_REVISION = 512 * 1024 * 1024


def at_revision(folder: Path, revision: str) -> tuple[list[JSON], str]:
    """The resources of `folder` at a revision, and its ledger. Raises StartError where git cannot give them."""
    if revision.startswith("-"):
        raise StartError(f"{revision!r} is no revision")
    archive = ("-C", str(folder), "archive", "--format=tar", revision, ".")
    packed = git(*archive, failed=f"git has no {folder} at {revision}")
    if len(packed) > MAX_REVISION:
        raise StartError(f"{folder} at {revision} is longer than {MAX_REVISION} bytes")
    return _unpacked(packed, f"{revision}:{folder}")


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
