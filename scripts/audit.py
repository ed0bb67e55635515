"""Known weaknesses of what is installed: every file of requirements/ is looked up with pip-audit.

https://pypi.org/project/pip-audit/ asks PyPI, and OSV where PyPI does not answer. What could not be looked up is said
aloud, and is no finding: a machine without the network must not stop a build. In continuous integration it is a
warning on the page of the run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
# What pip-audit says where a service did not answer, or knows nothing of a package, as a mirror without advisories
# does: its own status is 1 or 0 then.
UNKNOWN = re.compile(
    r"ConnectionError|ServiceError|Could not connect|Max retries exceeded|Name or service not known"
    r"|could not be audited"
)
FOUND = re.compile(r"Found [1-9]\d* known vulnerabilit")
SECONDS = "30"


def audit(file: Path, service: str) -> tuple[int, str]:
    """The status and the words of pip-audit for one file: 0 for no finding."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(file), "--disable-pip", "--require-hashes",
        "--vulnerability-service", service, "--progress-spinner", "off", "--timeout", SECONDS,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main(files: Iterable[Path] = (), services: Iterable[str] = ("pypi", "osv")) -> int:
    """0 for no finding and for a service that is not there, 1 for a finding or anything else that went wrong."""
    worst = 0
    for file in files or sorted(REQUIREMENTS.glob("*.txt")):
        answers = []
        for service in services:
            status, said = audit(file, service)
            answers.append(said.strip())
            if FOUND.search(said) or not UNKNOWN.search(said):
                print(f"{file.name}: {said.strip()}")
                worst = max(worst, int(bool(status)))
                break
        else:
            warning = "::warning::" if os.environ.get("GITHUB_ACTIONS") else "SKIPPED: "
            last = (answers[-1].splitlines() or ["no answer"])[-1]
            print(f"{warning}{file.name} was not looked up, because no service could say: {last}", file=sys.stderr)
    return worst


if __name__ == "__main__":
    sys.exit(main())
