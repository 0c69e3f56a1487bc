"""What test guests show: a blank screen.  Whoever presses their keys changes nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from vmherd.driver.screen import Picture
from vmherd.errors import InvalidArgument, InvalidState
from vmherd.hypervisors.test.life import TestLife, alive
from vmherd.util.keycodes import Codeset

_WIDTH, _HEIGHT = 640, 480
_MOST_KEYS = 16


class BlankPicture:
    """A picture that is made when it is asked for."""

    mime = "image/png"

    def __init__(self) -> None:
        self._left = _png()

    async def read(self, size: int = 65536) -> bytes:
        part, self._left = self._left[:size], self._left[size:]
        return part

    async def write(self, data: bytes) -> None:
        raise InvalidState("a picture of the screen is only read")

    async def close(self) -> None:
        self._left = b""


def _png() -> bytes:
    """Black, one bit for each point."""
    rows = zlib.compress(bytes((1 + _WIDTH // 8) * _HEIGHT), 9)
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


class TestScreen(TestLife):
    """What a person at such a machine would see and do."""

    async def domain_screenshot(self, uuid: str, *, screen: int = 0) -> Picture:
        self.require_writable()
        alive(self.table.get(uuid))
        return BlankPicture()

    async def domain_send_keys(
        self, uuid: str, keys: Sequence[int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0
    ) -> None:
        self.require_writable()
        alive(self.table.get(uuid))
        if not 0 < len(keys) <= _MOST_KEYS:
            raise InvalidArgument(f"{len(keys)} keys cannot be pressed at once", hint=f"give 1 to {_MOST_KEYS}")

    async def domain_inject_nmi(self, uuid: str) -> None:
        self.require_writable()
        alive(self.table.get(uuid))
