"""Cold start: from the command to the first answer, with the content already in the database."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median

import click

from benchmarks import servers


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How many starts to measure.")
@click.option("--content", default=Path("resources"), show_default=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--path", default="/fhir/metadata", show_default=True, help="What to ask for until it is answered with 200."
)
@click.option("--workers", default=1, show_default=True, help="Server processes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def main(rounds: int, content: Path, path: str, workers: int, as_json: bool) -> None:
    """Start the server again and again; the first start, which reads the content in, does not count."""
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        database = f"sqlite:///{Path(temporary) / 'benchmark.db'}"
        seconds = [start(content, database, path, workers) for _ in range(rounds + 1)][1:]
    result = {"best": min(seconds), "median": median(seconds), "rounds": rounds}
    human = f"first 200 from {path}: best {result['best']:.2f} s, median {result['median']:.2f} s of {rounds}"
    click.echo(json.dumps(result) if as_json else human)


def start(content: Path, database: str, path: str, workers: int) -> float:
    """Seconds from starting the server to its first 200."""
    port = servers.free_port()
    with servers.running(servers.apothecary(port, content, database, workers), port, path) as server:
        return server.seconds


if __name__ == "__main__":
    main()
