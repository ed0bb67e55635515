"""What it costs to convert a resource: reading the text, converting, writing the text, for each file of the content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from timeit import repeat

import click

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert, convertible


@click.command()
@click.option("--content", default=Path("resources"), show_default=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--type", "resource_type", default="MedicationKnowledge", show_default=True, help="Which type to convert."
)
@click.option("--target", default="R4", show_default=True, type=click.Choice(["R4", "R4B"]), help="To which release.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def main(content: Path, resource_type: str, target: str, as_json: bool) -> None:
    """Convert the R5 resources of one type, each alone; times are the best of five rounds."""
    release = FhirVersion(target)
    if not convertible(resource_type, FhirVersion.R5, release):
        raise click.UsageError(f"{target} has no {resource_type}")
    results = {file.stem: measure(file, release) for file in sorted((content / resource_type).glob("*.json"))}
    if not results:
        raise click.UsageError(f"{content} has no {resource_type}")
    if as_json:
        click.echo(json.dumps(results))
        return
    for name, times in results.items():
        click.echo(name + "".join(f"  {step} {value:.1f}" for step, value in times.items()))
    click.echo(f"mean of convert: {mean(times['convert µs'] for times in results.values()):.1f} µs")


def measure(file: Path, target: FhirVersion) -> dict[str, float]:
    """Size in bytes and microseconds a step, for one resource."""
    text = file.read_bytes()
    resource = parse(text)
    converted = convert(resource, FhirVersion.R5, target).resource
    return {
        "bytes": len(dumps(resource)),
        "parse µs": _best(lambda: parse(text)),
        "convert µs": _best(lambda: convert(resource, FhirVersion.R5, target)),
        "dump µs": _best(lambda: dumps(converted)),
        "back µs": _best(lambda: convert(converted, target, FhirVersion.R5)),
    }


def _best(step: Callable[[], object], rounds: int = 200) -> float:
    return min(repeat(step, number=rounds, repeat=5)) / rounds * 1e6


if __name__ == "__main__":
    main()
