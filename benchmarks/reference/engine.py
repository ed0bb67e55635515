"""HL7's own validator in Java, as HAPI FHIR packs it (https://hl7.org/fhir/R5/validation.html#jar), built with Maven.

The libraries are kept in a folder, `.cache/reference` by default, so that Maven is asked once. It works without a
terminology server, as the validator here does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apothecary.fhir.releases import FhirVersion

HERE = Path(__file__).parent
FOLDER = Path(".cache/reference")
_BUILD_SECONDS = 1800


class Missing(Exception):
    """The engine cannot be built here; the text says what is missing."""


@dataclass(frozen=True)
class Reference:
    """The engine, built: the class path to run it with."""

    class_path: str

    def command(self, release: FhirVersion, *arguments: str) -> list[str]:
        """What runs it on files, or on the names of files in standard input."""
        return ["java", "-XX:+UseSerialGC", "-cp", self.class_path, "Reference", release.name, *arguments]

    def check(self, release: FhirVersion, paths: Iterable[Path], *arguments: str) -> list[dict[str, Any]]:
        """For each file in order `file`, `milliseconds` and `findings`, or why it `failed`; all in one process."""
        names = "".join(f"{path}\n" for path in paths)
        done = subprocess.run(
            self.command(release, *arguments), input=names, check=True, capture_output=True, encoding="utf-8"
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def build(folder: Path = FOLDER) -> Reference:
    """The engine, its libraries taken from Maven when `folder` has none. Raises Missing."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed (Debian: apt-get install default-jdk-headless maven)")
    libraries = folder / "lib"
    if not libraries.is_dir():
        half = folder / f"half-{os.getpid()}"
        copy = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        _run([*copy, f"-DoutputDirectory={half.absolute()}"])
        half.replace(libraries)
    _run(["javac", "-nowarn", "-cp", f"{libraries}/*", "-d", str(folder / "classes"), str(HERE / "Reference.java")])
    return Reference(f"{folder}/classes:{libraries}/*")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    if done.returncode:
        raise Missing(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-500:]}")


def cost(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak megabytes of a process that may find nothing but warnings."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3
