"""A disk of a few megabytes, for tests that fill it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.missing import missing


@contextmanager
def small_disk(folder: Path, megabytes: int, owner: int | None = None) -> Iterator[Path]:
    """`folder`, made for the block, as a disk of its own that belongs to this account or to `owner`."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0700,uid={os.getuid() if owner is None else owner}"
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mount = [*as_root, "mount", "-t", "tmpfs", "-o", options, "apothecary-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        missing(f"a small disk cannot be mounted here: {error}")
    try:
        yield folder
    finally:
        subprocess.run([*as_root, "umount", str(folder)], check=True)


def filled(folder: Path) -> Path:
    """A file in `folder` that leaves no room beside it."""
    room = folder / "room"
    free = os.statvfs(folder)
    room.write_bytes(b"0" * (free.f_bavail * free.f_frsize))
    return room
