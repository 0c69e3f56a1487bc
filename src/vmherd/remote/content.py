"""The content of a volume over the wire."""

from __future__ import annotations

from vmherd.driver.content import VolumeContent
from vmherd.rpc.caller import Stream


class RemoteContent(VolumeContent):
    """One end of a stream whose other end is a volume."""

    def __init__(self, stream: Stream, *, holes: bool) -> None:
        self.sparse = holes
        self._stream = stream

    async def read(self) -> bytes | int:
        return await self._stream.receive()

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def skip(self, length: int) -> None:
        await self._stream.skip(length)

    async def finish(self) -> None:
        await self._stream.finish()

    async def close(self) -> None:
        await self._stream.close()
