"""Fetch the official examples of each release into `.cache/`, for tests and benchmarks
(https://hl7.org/fhir/R5/downloads.html).

`python -m scripts.fetch_examples [--cache DIR]` downloads what is not there yet and checks each package against its
SHA-256.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from scripts.definitions.packages import Package, obtain

PACKAGES = {
    FhirVersion.R4: Package(
        "hl7.fhir.r4.examples", "4.0.1", "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682"
    ),
    FhirVersion.R4B: Package(
        "hl7.fhir.r4b.examples", "4.3.0", "82cb78e05077f57ff416eb044831bad7de9fca602c0cea8ce5ef672b604344de"
    ),
    FhirVersion.R5: Package(
        "hl7.fhir.r5.examples", "5.0.0", "00106d2479ba1d73a1168543472b730744c157d9c427a686c88c32559afb09e5"
    ),
}
CACHE = Path(".cache")


def examples(version: FhirVersion, cache: Path = CACHE) -> Iterator[tuple[str, bytes]]:
    """File name and text of each example resource of a release; the package is downloaded when it is not in `cache`."""
    with tarfile.open(obtain(PACKAGES[version], cache)) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            name = member.name.removeprefix("package/")
            if not name.endswith(".json") or "/" in name or name.startswith(".") or name == "package.json":
                continue
            stream = tar.extractfile(member)
            if stream is not None:
                yield name, stream.read()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    cache = parser.parse_args().cache
    for package in PACKAGES.values():
        print(obtain(package, cache))


if __name__ == "__main__":
    main()
