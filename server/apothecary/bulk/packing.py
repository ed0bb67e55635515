"""Files in pieces, each compressed when it is written: given as gzip without being compressed again, or unpacked piece
by piece. https://www.rfc-editor.org/rfc/rfc1951 and https://www.rfc-editor.org/rfc/rfc1952

A piece is a run of deflate blocks that refers to nothing before it and ends at a byte. So the pieces of a file, one
after the other, are one gzip member: some clients read no second one.
"""

from __future__ import annotations

import struct
import zlib

# Without a name and a time: the same lines make the same bytes.
HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty last block.
_END = b"\x03\x00"

_LEVEL = 6
_RAW = -15

# What is said around the pieces, in bytes.
AROUND = len(HEAD) + len(_END) + 8


def pack(raw: bytes) -> bytes:
    """One piece."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return packer.compress(raw) + packer.flush(zlib.Z_FULL_FLUSH)


def unpack(piece: bytes) -> bytes:
    """What `pack` was given."""
    return zlib.decompressobj(_RAW).decompress(piece)


def tail(checksum: int, size: int) -> bytes:
    """What stands behind the pieces of a file whose text has that CRC-32, and that number of bytes."""
    return _END + struct.pack("<II", checksum, size & 0xFFFFFFFF)
