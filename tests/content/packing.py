"""Archives for tests: what a publisher packs, and what nobody should."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def tarball(path: Path, files: Mapping[str, Any], *others: tarfile.TarInfo) -> Path:
    """A .tgz of `files`; `others` are members without content, such as links."""
    with tarfile.open(path, "w:gz") as written:
        for name, value in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(as_bytes(value))
            written.addfile(member, io.BytesIO(as_bytes(value)))
        for other in others:
            written.addfile(other)
    return path


def zipped(path: Path, files: Mapping[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, value in files.items():
            written.writestr(name, as_bytes(value))
    return path


def unpacked(path: Path, files: Mapping[str, Any]) -> Path:
    for name, value in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(as_bytes(value))
    return path
