"""Ids that the server assigns: https://hl7.org/fhir/R5/http.html#create"""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> str:
    """A UUID of version 7 (RFC 9562): unique without coordination, and in the order of time, so that new rows stand
    together.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(UUID(int=value))
