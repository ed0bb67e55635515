"""An import into files: NDJSON (https://hl7.org/fhir/R5/nd-json.html), or a content folder with one file a resource."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from apothecary.content.write import replace_file
from apothecary.errors import StartError
from apothecary.fhir.json import JSON, pretty

NDJSON, COMPRESSED = ".ndjson", ".ndjson.gz"


class Output(Protocol):
    """Where resources go."""

    def write(self, resource: JSON, text: bytes) -> None:
        """Take in a resource and its text as JSON."""


class _Lines:
    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream

    def write(self, resource: JSON, text: bytes) -> None:
        self._stream.write(text + b"\n")


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, resource: JSON, text: bytes) -> None:
        file = self._path / resource["resourceType"] / f"{resource['id']}.json"
        said = pretty(text) + b"\n"
        # What did not change keeps its time as well.
        if not (file.is_file() and file.read_bytes() == said):
            replace_file(file, said, durably=False)


class _Nowhere:
    def write(self, resource: JSON, text: bytes) -> None:
        return


@contextmanager
def output(path: Path | None) -> Iterator[Output]:
    """Where `path` says: a file whose name ends in .ndjson or .ndjson.gz, or else a folder; nowhere without one. A file
    is there when the block has ended without an error, whole: before, there is what was there before. Raises StartError
    where it cannot be written.
    """
    if path is None:
        yield _Nowhere()
        return
    if not path.name.endswith((NDJSON, COMPRESSED)):
        if path.exists() and not path.is_dir():
            raise StartError(f"{path}: is no folder, and no file whose name ends in {NDJSON} or {COMPRESSED}")
        yield _Folder(path)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("xb") as stream:
            if path.name.endswith(COMPRESSED):
                # Without the time: the same resources make the same file.
                with gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
                    yield _Lines(packed)
            else:
                yield _Lines(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
