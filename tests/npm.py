"""Packages of npm that tests use: installed once, below `.cache`, and only read."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from tests.missing import missing

CACHE = Path(__file__).resolve().parents[1] / ".cache"


def installed(name: str, manifest: Path) -> Path:
    """The folder `name` in the cache with what the package.json `manifest` wants; the test is skipped without npm."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, copy = manifest.read_text(), folder / "package.json"
        if not (folder / "node_modules" / ".package-lock.json").exists() or copy.read_text() != wanted:
            copy.write_text(wanted)
            command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                copy.unlink()
                missing(f"npm could not install {name}: {done.stderr[-500:]}")
    return folder
