"""`apothecary validate --fix` and `--diff`: mechanical mends, shown or written, before the files are checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from apothecary.content.mend import Change, mended
from apothecary.content.read import COMPRESSED, named_format
from apothecary.content.sources import Source
from apothecary.content.write import replace_file
from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.mends import mends


def mend_files(
    listed: Sequence[Source],
    version_of: Callable[[Any, FhirVersion | None], FhirVersion],
    version_of_text: Callable[[bytes, FhirVersion | None], FhirVersion],
    *,
    fix: bool,
    diff: bool,
) -> int:
    """Mend the files among `listed` that are neither compressed nor archives: written with `fix`, shown on standard
    output with `diff`. The number of files that have something to mend.

    Raises StartError for standard input, which cannot be written, and for a file that can be neither read nor written.
    """

    found = passed = 0
    for source in listed:
        if source.is_standard_input:
            raise StartError("--fix and --diff: standard input cannot be mended")
        format = named_format(source.path)
        if format is None or source.path.endswith(COMPRESSED):
            passed += 1
            continue
        # What a link points to is mended, the link stays.
        path = Path(os.path.realpath(source.path))
        try:
            before = path.read_bytes()
        except OSError as error:
            raise StartError(f"{source.path}: cannot be read: {error.strerror}") from error

        def changes(value: Any, published: FhirVersion | None = source.release) -> Iterable[Change]:
            return mends(value, definitions(version_of(value, published)))

        after = mended(before, changes, format, version_of_text(before, source.release))
        if after == before:
            continue
        found += 1
        if diff:
            click.echo("".join(_shown(source.path, before, after)), nl=False)
        if fix:
            replace_file(path, after)
    said = f"{found} {'file' if found == 1 else 'files'} {'mended' if fix else 'would be mended'}"
    left = f"; {passed} left alone: compressed, or of no known format" if passed else ""
    click.echo(f"{said}{left}.", err=True)
    return found


def _shown(name: str, before: bytes, after: bytes) -> Iterable[str]:
    old, new = (data.decode(errors="backslashreplace").splitlines(keepends=True) for data in (before, after))
    for line in difflib.unified_diff(old, new, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
