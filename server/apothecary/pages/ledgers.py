"""Claims in the editors' words: what a source says, and in which line. The content folder's ledger has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from apothecary.authoring.ledger import FILE, claim_order, read_ledger
from apothecary.fhir.json import JSON
from apothecary.interactions.service import Service
from apothecary.pages.answers import shown
from apothecary.pages.view import View

# A ledger of more bytes is none that people wrote.
LARGEST = 16 * 1024 * 1024


class Claim(NamedTuple):
    """A claim: its id, the short one that a page shows, and what its source says; empty where no ledger has it."""

    id: str
    short: str
    says: str


def claims_of(service: Service, ids: Iterable[str]) -> list[Claim]:
    """The claims of these ids, with their words."""
    known = _ledger(service)
    found = []
    for one in ids:
        source, _, short = one.rpartition(":")
        entry = known.get(source, {}).get(short)
        found.append(Claim(one, short, f"line {entry['line']}: {entry['says']}" if entry else ""))
    return found


def stamp_of(service: Service) -> int:
    """What changes with the ledger; 0 where there is none."""
    path = _path(service)
    return _stamp(path) if path is not None else 0


def ledger_page(view: View) -> bytes:
    """Every claim of every source, and the resources that carry it."""
    rows = [
        (source, short, entry["line"], entry["says"], _carriers(view, f"{source}:{short}"))
        for source, claims in sorted(_ledger(view.service).items())
        for short, entry in sorted(claims.items(), key=lambda one: claim_order(one[0]))
    ]
    return shown("ledger.html", view, "Claims", rows=rows)


def _carriers(view: View, claim: str) -> Sequence[tuple[str, str]]:
    path = _path(view.service)
    carried = _carried(path, _stamp(path)).get(claim, ()) if path is not None else ()
    return [(view.to(one), one) for one in carried]


def _ledger(service: Service) -> Mapping[str, Mapping[str, JSON]]:
    path = _path(service)
    return _read(path, _stamp(path)) if path is not None else {}


def _path(service: Service) -> Path | None:
    path = Path(service.settings.content) / FILE if service.settings.content else None
    return path if path is not None and path.is_file() and path.stat().st_size <= LARGEST else None


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns


@lru_cache(maxsize=2)
def _read(path: Path, stamp: int) -> Mapping[str, Mapping[str, JSON]]:
    try:
        return read_ledger(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError):
        return {}


@lru_cache(maxsize=2)
def _carried(path: Path, stamp: int) -> Mapping[str, Sequence[str]]:
    import csv

    with path.open(encoding="utf-8", newline="") as stream:
        return {row["claim"]: (row["resources"] or "").split() for row in csv.DictReader(stream)}
