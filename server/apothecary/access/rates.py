"""How often somebody may ask, counted by `limits` (https://limits.readthedocs.io), here or in a Redis of several.

A window slides: two counters for each limit and client, whatever the number of requests.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError, StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from apothecary.errors import StartError
from apothecary.settings import PREFIX, Settings

log = logging.getLogger("apothecary")

# A storage that fails is told of once in so many seconds.
AGAIN = 10.0
# Whoever has an IPv6 address mostly has all of a network of that size: https://www.rfc-editor.org/rfc/rfc6177
NETWORK = 64


class Rates:
    """The limits of the settings, and what has been counted."""

    def __init__(self, settings: Settings) -> None:
        """Raises StartError for limits that are none, and for a storage that is not there."""
        self._limits = _limits(settings.rate_limit)
        self._limiter = SlidingWindowCounterRateLimiter(_storage(settings.rate_limit_storage))
        self._told = -AGAIN

    def wait(self, key: str) -> int | None:
        """Count one request of whoever `key` stands for. None where it may go on, else how many seconds to wait.

        Where the storage fails, nobody is kept out.
        """
        try:
            for limit in self._limits:
                if not self._limiter.hit(limit, key):
                    reset = self._limiter.get_window_stats(limit, key).reset_time
                    return max(1, ceil(reset - time.time()))
        except StorageError as error:
            self._say(error)
        return None

    def _say(self, error: StorageError) -> None:
        if time.monotonic() - self._told >= AGAIN:
            self._told = time.monotonic()
            log.error("requests are not counted: %s", type(error.storage_error).__name__)


def key_of(client: str | None, address: str) -> str:
    """Whom a request counts for: the client, or else the address, of IPv6 its network."""
    if client is not None:
        return f"client {client}"
    try:
        found = ip_address(address)
    except ValueError:
        return "address"
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return f"address {mapped or ip_network((found, NETWORK), strict=False)}"
    return f"address {found}"


def _limits(text: str) -> Sequence[RateLimitItem]:
    try:
        found = parse_many(text)
    except ValueError:
        found = []
    if not found or any(one.amount < 1 for one in found):
        raise StartError(
            f"{PREFIX}RATE_LIMIT={text!r}: write limits such as 50/second, several separated by semicolons."
        )
    return found


def _storage(uri: str) -> Storage:
    """What counts. Raises StartError; no message quotes the address, which may hold a password."""
    name = f"{PREFIX}RATE_LIMIT_STORAGE"
    wrong = StartError(f"{name}: write memory:// or the address of a Redis, redis://host:6379/0")
    if uri.partition("://")[0] not in ("memory", "redis", "rediss"):
        raise wrong
    try:
        storage = storage_from_string(uri, wrap_exceptions=True)
    except ConfigurationError:
        raise StartError(f"{name}: pip install 'apothecary[redis]' is needed for that") from None
    except ValueError:
        raise wrong from None
    if not isinstance(storage, Storage) or not storage.check():
        raise StartError(f"{name}: nothing answers there that could count")
    return storage
