"""Cold start of the validator: one process, one bundle, from the command to the status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click

from benchmarks.content import medication

PROGRAM = "from apothecary.cli import main; main()"


@click.command()
@click.option("--rounds", default=15, show_default=True, help="How many starts to measure.")
@click.option("--entries", default=20, show_default=True, help="Resources in the bundle.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def main(rounds: int, entries: int, as_json: bool) -> None:
    """Check a bundle again and again, each time in a new process; the first fills the file cache and does not count."""
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        path = Path(temporary) / "bundle.json"
        path.write_text(json.dumps(bundle(entries), indent=2))
        samples = [start(path) for _ in range(rounds + 1)][1:]
    seconds = [sample[0] for sample in samples]
    megabytes = max(sample[1] for sample in samples)
    result = {"best": min(seconds), "median": median(seconds), "megabytes": megabytes, "rounds": rounds}
    human = (
        f"{entries} resources: best {min(seconds):.3f} s, median {median(seconds):.3f} s, {megabytes:.0f} MB at most"
    )
    click.echo(json.dumps(result) if as_json else human)


def bundle(entries: int) -> dict[str, object]:
    """A collection of Medications of about 1 kB."""
    resources = [{"fullUrl": f"https://example.org/Medication/m{n}", "resource": medication(n)} for n in range(entries)]
    return {"resourceType": "Bundle", "type": "collection", "entry": resources}


def start(path: Path) -> tuple[float, float]:
    """Wall seconds and peak megabytes of one check, which must find nothing."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "validate", "--quiet", str(path)])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the check ended with status {process.returncode}")
    # Linux counts kilobytes, macOS bytes.
    return seconds, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
