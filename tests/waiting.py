"""Waiting for what must come true, so that no verdict hangs on how fast or how busy a machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0
"""How many seconds anything may take that an idle machine does at once; only a defect takes longer."""


def until(holds: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether `holds` comes true, asked again and again; False when it has not within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
