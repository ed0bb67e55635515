"""Cold start of the validator: one process, one bundle, from the command to the status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

import click

from benchmarks.content import medication

PROFILE = "https://example.org/StructureDefinition/{}"
PROGRAM = "from apothecary.cli import main; main()"


@click.command()
@click.option("--rounds", default=15, show_default=True, help="How many starts to measure.")
@click.option("--entries", default=20, show_default=True, help="Resources in the bundle.")
@click.option("--package", default=0, show_default=True, help="Profiles and value sets in a package at hand.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def main(rounds: int, entries: int, package: int, as_json: bool) -> None:
    """Check a bundle again and again, each time in a new process; the first fills the file cache, and the index of the
    package, and does not count.
    """
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        path = Path(temporary) / "bundle.json"
        path.write_text(json.dumps(bundle(entries, claim=package > 0), indent=2))
        arguments = at_hand(Path(temporary), package) if package else []
        samples = [start(path, *arguments) for _ in range(rounds + 1)][1:]
    seconds = [sample[0] for sample in samples]
    megabytes = max(sample[1] for sample in samples)
    processor = median(sample[2] for sample in samples)
    result = {
        "best": min(seconds),
        "median": median(seconds),
        "processor": processor,
        "megabytes": megabytes,
        "rounds": rounds,
    }
    human = (
        f"{entries} resources: best {min(seconds):.3f} s, median {median(seconds):.3f} s,"
        f" {processor:.3f} s of processor, {megabytes:.0f} MB at most"
    )
    click.echo(json.dumps(result) if as_json else human)


def bundle(entries: int, *, claim: bool = False) -> dict[str, object]:
    """A collection of Medications of about 1 kB; they claim a profile of the package where `claim` asks it."""
    meta = {"meta": {"profile": [PROFILE.format(0)]}} if claim else {}
    resources = [
        {"fullUrl": f"https://example.org/Medication/m{n}", "resource": {**medication(n), **meta}}
        for n in range(entries)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": resources}


def at_hand(folder: Path, number: int) -> list[str]:
    """The options that put a package of so many profiles and value sets at hand, of about 15 kB each."""
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        for place in range(number):
            data = json.dumps(profile(place // 2) if place % 2 == 0 else value_set(place // 2)).encode()
            member = tarfile.TarInfo(f"package/{place}.json")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    return ["--package", str(path), "--package-cache", str(folder / "cache")]


def profile(number: int) -> dict[str, object]:
    """A profile that requires a code, with as much text as published ones have."""
    text = "What this element is for, and what to write into it. " * 6
    elements = [
        {"id": f"Medication.{name}", "path": f"Medication.{name}", "definition": text * 5, "comment": text * 3}
        for name in ("identifier", "status", "doseForm", "ingredient", "batch")
    ]
    return {
        "resourceType": "StructureDefinition",
        "url": PROFILE.format(number),
        "version": "1.0.0",
        "name": f"Profile{number}",
        "status": "active",
        "fhirVersion": "5.0.0",
        "kind": "resource",
        "abstract": False,
        "type": "Medication",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication",
        "differential": {"element": [{"id": "Medication.code", "path": "Medication.code", "min": 1}, *elements]},
    }


def value_set(number: int) -> dict[str, object]:
    """A value set of 200 codes."""
    concepts = [
        {"code": f"c{place}", "display": f"What code number {place} means to those who use it"} for place in range(200)
    ]
    return {
        "resourceType": "ValueSet",
        "url": f"https://example.org/ValueSet/{number}",
        "version": "1.0.0",
        "status": "active",
        "compose": {"include": [{"system": "https://example.org/codes", "concept": concepts}]},
    }


def start(path: Path, *arguments: str) -> tuple[float, float, float]:
    """Wall seconds, peak megabytes and seconds of the processor of one check, which must find nothing."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "validate", "--quiet", "--strict", *arguments, str(path)]
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the check ended with status {process.returncode}")
    # Linux counts kilobytes, macOS bytes.
    megabytes = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return seconds, megabytes, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
