"""The official packages in `.cache/`: `make test` fetches them with npm, once, and the tests only read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from scripts.definitions.packages import ALL, Package, obtain
from scripts.fetch_examples import PACKAGES, examples
from tests.mass import much
from tests.missing import missing

CACHE = Path(__file__).parent.parent / ".cache"


def official_examples(version: FhirVersion) -> Iterator[tuple[str, bytes]]:
    """File name and text of each official example of a release, checked by hash; without the package the test is
    skipped, but fails in continuous integration.
    """
    _need(PACKAGES[version])
    return examples(version, CACHE)


def some_examples(version: FhirVersion) -> Iterable[tuple[str, bytes]]:
    """Every twentieth of those that are not large; all of them where everything is wanted (`tests.mass`)."""
    return much(_sample, official_examples)(version)


@cache
def _sample(version: FhirVersion) -> tuple[tuple[str, bytes], ...]:
    """Kept, because a package is unpacked whole even where little of it is read."""
    small = (one for one in official_examples(version) if len(one[1]) < 200_000)
    return tuple(islice(small, None, None, 20))


def definition_packages() -> list[Path]:
    """The packages that the tables are compiled from, likewise."""
    wanted = ALL
    _need(*wanted)
    return [obtain(package, CACHE) for package in wanted]


def guide(package: Package) -> Path:
    """The tarball of an implementation guide, likewise."""
    _need(package)
    return obtain(package, CACHE)


def _need(*packages: Package) -> None:
    if absent := [package.file_name for package in packages if not (CACHE / package.file_name).is_file()]:
        missing(f"{', '.join(absent)} not in .cache/: python -m scripts.fetch_examples")
