"""What is found in a folder must lie in it: a link in content that somebody else wrote may lead to any file of this
machine, and a message about a defect shows its lines. Who names a file himself may name a link.

https://hl7.org/fhir/R5/security.html
"""

from __future__ import annotations

import os
import stat

from apothecary.errors import ContentError


class Folder:
    """A folder that is searched for files."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._real = os.path.realpath(path)

    def check_file(self, path: str | os.PathLike[str]) -> None:
        """Raises ContentError for a link that leads out of the folder, and for what is no file, such as a pipe, which
        could be read for ever. What is not there is left to whoever reads it.
        """
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                self.check_link(path)
                mode = os.stat(path).st_mode
        except OSError:
            return
        if not stat.S_ISREG(mode):
            raise ContentError(os.fspath(path), 0, 0, "is neither a file nor a folder")

    def check_link(self, path: str | os.PathLike[str]) -> None:
        """Raises ContentError for a link, to a file or a folder, that leads out of the folder."""
        if os.path.islink(path):
            real = os.path.realpath(path)
            if os.path.commonpath((real, self._real)) != self._real:
                raise ContentError(
                    os.fspath(path),
                    0,
                    0,
                    "is a link that leads out of the folder, so it is not followed",
                )
