"""The content of the terminology tests, and a server over any content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apothecary.content.sync import sync
from apothecary.store.open import open_store
from tests.conformance.harness import HERE, InProcess, settings_for, write_content

CONTENT: list[dict[str, Any]] = json.loads((HERE / "terminology.json").read_text())


def start(url: str, folder: Path, content: list[dict[str, Any]]) -> InProcess:
    """A server over `content`, which becomes the whole content of `folder`."""
    for old in folder.rglob("*.json"):
        old.unlink()
    write_content(folder, content)
    settings = settings_for(url, folder)
    store = open_store(settings)
    sync(settings, store)
    return InProcess(settings, store)
