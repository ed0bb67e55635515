"""What the user's own git says: https://git-scm.com/docs"""

from __future__ import annotations

from apothecary.errors import StartError


def git(*arguments: str, failed: str) -> bytes:
    """What git writes. Raises StartError where it cannot be run, or fails: `failed` and its own words say so."""
    # Most commands never ask git.
    import subprocess

    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607 - the user's own git
    except OSError as error:
        raise StartError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise StartError(f"{failed}: {said}")
    return done.stdout
