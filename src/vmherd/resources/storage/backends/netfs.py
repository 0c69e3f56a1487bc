"""Pools that are a folder of a file server: NFS, CIFS, GlusterFS.

Whatever asks a server that has gone away waits for ever; so a program that can be killed asks first.
Source of what showmount prints: showmount(8)
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress

from vmherd.conf.storage import Pool, Volume
from vmherd.conf.storage.pool import PoolSource
from vmherd.errors import HostError, InvalidArgument
from vmherd.resources.storage import folder, glustersources
from vmherd.resources.storage.backends import spec
from vmherd.resources.storage.backends.mounted import MountedBackend
from vmherd.util import command
from vmherd.util.mounts import Mount

#: Seconds that a server has to say how much room it has.
_ANSWER = 5.0


class NetfsBackend(MountedBackend):
    """mount(8) of HOST:/PATH."""

    def owns(self, pool: Pool, mount: Mount) -> bool:
        source = self.command(pool)[-2]
        return mount.source.rstrip("/") == source.rstrip("/") or mount.type.startswith("fuse")

    async def stop(self, pool: Pool) -> None:
        if await self._answers(pool):
            await super().stop(pool)
        else:
            await command.run(["umount", "-f", "-l", folder.path_of(pool)], package="mount")

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        await self._require_answer(pool)
        return await super().refresh(pool)

    async def measure(self, pool: Pool) -> None:
        await self._require_answer(pool)
        await super().measure(pool)

    async def _answers(self, pool: Pool) -> bool:
        try:
            await command.run(["stat", "-f", folder.path_of(pool)], patience=_ANSWER)
        except HostError:
            return False
        return True

    async def _require_answer(self, pool: Pool) -> None:
        await self._require_mounted(pool)
        if not await self._answers(pool):
            host = pool.source.hosts[0].name
            text = f"the server {host} of pool '{pool.name}' does not answer"
            raise HostError(text, hint="check the network and the server; stop the pool if it is gone for good")

    async def sources(self, where: str) -> str:
        wanted = spec.read(where)
        if not wanted or not wanted.hosts:
            text = "hostname must be specified for netfs sources"
            raise InvalidArgument(text, hint="give <source><host name='...'/></source>")
        host = wanted.hosts[0].name
        exported = await _exported(host)
        if await asyncio.to_thread(shutil.which, "gluster"):
            with suppress(HostError):  # it need not be a server of Gluster too
                exported += await glustersources.ask(host, as_folders=True)
        return spec.sources(exported)


async def _exported(host: str) -> list[PoolSource]:
    text = await command.run(["showmount", "--no-headers", "--exports", "--", host], package="nfs-common")
    paths = [line.rsplit(maxsplit=1)[0] for line in text.splitlines() if line.startswith("/")]
    return [spec.source(host=host, folder=path, kind="nfs") for path in paths]
