"""What a database holds after an import."""

from __future__ import annotations

import json
from typing import Any

from apothecary.settings import Settings
from apothecary.store.open import open_store


def held(url: str) -> dict[str, dict[str, Any]]:
    """The resources by key."""
    store = open_store(Settings(database=url))
    try:
        return {
            f"{kind}/{one.id}": json.loads(one.body or b"") for kind in store.types() for one in store.all_of_type(kind)
        }
    finally:
        store.close()
