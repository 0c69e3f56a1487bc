"""Screens, keys, displays and channels over the wire."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vmherd.driver.screen import Picture
from vmherd.driver.types import Console
from vmherd.errors import OperationFailed
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.caller import Stream
from vmherd.util.keycodes import Codeset

_FORCE, _SKIP_AUTH = 1, 1


class _Picture:
    """A stream that the other side ends when the picture is whole."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.mime = str(stream.values[0] or "image/x-portable-pixmap")

    async def read(self, size: int = 65536) -> bytes:
        return await self._stream.read(size)

    async def write(self, data: bytes) -> None:
        raise OperationFailed("a picture is only read")

    async def close(self) -> None:
        await self._stream.close()


class RemoteScreen(RemoteConnection):
    """virDomainScreenshot, virDomainSendKey, virDomainOpenGraphics, virDomainOpenChannel and their kind."""

    async def domain_screenshot(self, uuid: str, *, screen: int = 0) -> Picture:
        return _Picture(await self._stream(uuid, "domain_screenshot", screen, 0))

    async def domain_send_keys(
        self, uuid: str, keys: Sequence[int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0
    ) -> None:
        await self._change(uuid, "domain_send_key", codeset, round(hold * 1000), list(keys), 0)

    async def domain_send_signal(self, uuid: str, pid: int, number: int) -> None:
        await self._change(uuid, "domain_send_process_signal", pid, number, 0)

    async def domain_inject_nmi(self, uuid: str) -> None:
        await self._change(uuid, "domain_inject_nmi", 0)

    async def domain_channel(self, uuid: str, *, name: str = "", force: bool = False) -> Console:
        self.require_writable()
        return await self._stream(uuid, "domain_open_channel", name or None, _FORCE * force)

    async def domain_open_graphics(self, uuid: str, index: int, fd: int, *, skip_auth: bool = False) -> None:
        await self._with_fds(uuid, "domain_open_graphics", index, _SKIP_AUTH * skip_auth, fds=[fd])

    async def domain_open_graphics_fd(self, uuid: str, index: int, *, skip_auth: bool = False) -> int:
        fds = await self._with_fds(uuid, "domain_open_graphics_fd", index, _SKIP_AUTH * skip_auth)
        for fd in fds[1:]:
            os.close(fd)
        if not fds:
            raise OperationFailed("the daemon sent no descriptor")
        return fds[0]
