"""An import says how far it is, and what it has read says when it will be done."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest

from apothecary.cli import import_progress
from apothecary.cli.import_progress import Progress
from apothecary.importers.report import Reading


def test_where_nobody_watches_a_line_tells_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_progress, "EVERY", 2)
    reading, file = Reading(), cast("BinaryIO", io.BytesIO(b"x" * 100))
    with Progress(100, reading) as progress, reading.of(file, 100, 100):
        # What is read before the first resource is made is not counted.
        file.read(20)
        for _ in range(6):
            progress.made()
            file.read(10)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in told] == [f"importing: {count} resources" for count in (2, 4, 6)]
    assert [line.split(", ")[2] for line in told] == ["12 %", "37 %", "62 %"]
    assert all(line.endswith(" left") for line in told)


def test_a_packed_file_counts_as_it_is_packed_and_what_is_closed_stays_read() -> None:
    reading = Reading()
    file = cast("BinaryIO", io.BytesIO(b"x" * 1000))
    with reading.of(file, 1000, 100):
        file.read(500)
        assert reading.bytes == 50
        file.read()
    assert reading.bytes == 100
