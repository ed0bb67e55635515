"""How bodies are compressed on their way: with zstd or gzip, or not at all. https://hl7.org/fhir/R5/http.html and
https://www.rfc-editor.org/rfc/rfc9110#section-8.4
"""

from __future__ import annotations

import sys
import zlib
from functools import lru_cache

from apothecary.errors import BadRequest, UnsupportedMediaType
from apothecary.fhir.caches import short_cache

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Shorter bodies fit into one packet as they are.
LEAST = 1024
# The levels: most of what can be won, in a fraction of the time.
LEVEL, ZSTD_LEVEL = 1, 3
# The format of gzip, to zlib.
GZIP = 31
_NAMES = ("gzip", "x-gzip")


def _qualities(header: str) -> dict[str, float]:
    """How much each coding of `Accept-Encoding: header` is wanted; what is no number counts for nothing."""
    found: dict[str, float] = {}
    for one in header.split(","):
        name, _, parameter = one.partition(";")
        key, _, value = parameter.partition("=")
        try:
            quality = float(value) if key.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        found[name.strip().lower()] = quality
    return found


@short_cache(256)
def accepts_gzip(header: str) -> bool:
    """Whether an answer to `Accept-Encoding: header` is to be compressed: gzip is acceptable, and not less than
    the answer as it is. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
    """
    qualities = _qualities(header)
    gzip = next((qualities[name] for name in _NAMES if name in qualities), qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


@short_cache(256)
def coding_for(header: str) -> str | None:
    """What an answer to `Accept-Encoding: header` is compressed with: zstd where the client names it and likes nothing
    better, else gzip, else nothing. https://www.rfc-editor.org/rfc/rfc8878#section-7.2
    """
    qualities = _qualities(header)
    wanted = qualities.get("zstd", 0.0)
    if wanted > 0 and wanted >= max(qualities.get(name, 0.0) for name in (*_NAMES, "identity")):
        return "zstd"
    return "gzip" if accepts_gzip(header) else None


@lru_cache(maxsize=64)
def worth_it(content_type: str) -> bool:
    """Whether bodies of a type get smaller: text does, pictures and PDF are compressed as they are."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml", "javascript"))


def compressed(body: bytes, coding: str) -> bytes:
    """`body` in a coding that `coding_for` names."""
    return zstd.compress(body, ZSTD_LEVEL) if coding == "zstd" else deflate(body)


def deflate(body: bytes) -> bytes:
    """`body` in gzip."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return packer.compress(body) + packer.flush()


def inflate(body: bytes, coding: str, limit: int) -> bytes | None:
    """`body` without its `Content-Encoding: coding`; None where it is longer than `limit`, as soon as that shows.
    Raises UnsupportedMediaType for another coding than gzip, BadRequest for what is no gzip.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _NAMES:
        raise UnsupportedMediaType(
            f"Content-Encoding: {coding} cannot be read here",
            expression="Content-Encoding",
            remedy="Send the body in gzip, or as it is.",
            headers={"Accept-Encoding": "gzip"},
        )
    parts: list[bytes] = []
    left = limit
    try:
        # There may be several after each other: https://www.rfc-editor.org/rfc/rfc1952#section-2.2
        while body or not parts:
            unpacker = zlib.decompressobj(GZIP)
            part = unpacker.decompress(body, left + 1)
            if len(part) > left:
                return None
            if not unpacker.eof:
                raise BadRequest(
                    "the body is gzip that ends too early", expression="Content-Encoding", code="structure"
                )
            parts.append(part)
            left -= len(part)
            body = unpacker.unused_data
    except zlib.error:
        raise BadRequest(
            "the body is not the gzip that Content-Encoding promises", expression="Content-Encoding", code="structure"
        ) from None
    return b"".join(parts)
