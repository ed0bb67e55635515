"""Fetch the official packages of each release into `.cache/`: the examples, for tests and benchmarks, and what the
tables are compiled from (https://hl7.org/fhir/R5/downloads.html).

`python -m scripts.fetch_examples [--cache DIR]` downloads what is not there yet with npm and checks each package
against its SHA-256.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from scripts.definitions.packages import ALL, Package, PackageError, files, obtain

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
# Implementation guides whose own examples are checked against their own profiles (CC0).
GUIDES = (
    Package("hl7.fhir.uv.ips", "2.0.0", "4a5cff17580f869140614ac51097d81540c63644d550ced8d4cd9b9bce7345c4"),
    Package("hl7.fhir.au.base", "6.0.0", "b42fb020445d01e5b7c5cb739fc6add03e4449864ac5abe7306155b125f4993f"),
    Package("hl7.fhir.us.mcode", "4.0.0", "6bdb93934e2c0a859198e8c1c21eccb28915c73535d18c75c515c03bba9c45de"),
    Package("hl7.fhir.uv.order-catalog", "0.1.0", "01790bf502148b527ccf17ef0a781779efb6ad63bfbbb15c0c5f9dee9d80dbf4"),
)
CACHE = Path(".cache")


def examples(version: FhirVersion, cache: Path = CACHE) -> Iterator[tuple[str, bytes]]:
    """File name and text of each example resource of a release; the package is downloaded when it is not in `cache`."""
    return files(obtain(PACKAGES[version], cache))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when a package is missing or is not the one that was pinned."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fetch_examples", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the packages are kept (%(default)s)")
    cache = parser.parse_args(arguments).cache
    # R4's definitions and examples are one package.
    try:
        for package in dict.fromkeys((*PACKAGES.values(), *ALL, *GUIDES)):
            obtain(package, cache)
    except PackageError as error:
        print(f"The official FHIR packages are not complete in {cache}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
