"""Attachments: whether the data are what their size and hash say
(https://hl7.org/fhir/R5/datatypes.html#Attachment).
"""

from __future__ import annotations

from typing import Any

from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run


def check_attachment(value: dict[str, Any], at: At, run: Run) -> None:
    """Compare the data of an Attachment, where it holds them, with its size in bytes and its SHA-1."""
    text, size, sha1 = value.get("data"), value.get("size"), value.get("hash")
    if not isinstance(text, str) or (size is None and sha1 is None):
        return
    # Only attachments with something to compare pay for the modules.
    import hashlib
    from base64 import b64decode, b64encode

    try:
        data = b64decode(text)
    except ValueError:
        return  # That it is no Base64 is told by its own rule.
    # R5 writes size as a text, because JSON cannot hold every integer64 as a number.
    if size is not None and str(size) != str(len(data)):
        run.report(BASE["attachment-size"], at, f"is {shown(size)}, but the data have {len(data)} bytes", key="size")
    if sha1 is not None:
        actual = b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
        if sha1 != actual:
            text = f"is {shown(sha1)}, but the SHA-1 of the data is {actual}"
            run.report(BASE["attachment-hash"], at, text, key="hash")
