"""Pools that are a folder where something is mounted while they are active."""

from __future__ import annotations

import asyncio

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import HostError, InvalidArgument, InvalidState
from vmherd.resources.storage import activate, folder
from vmherd.resources.storage.backends.dir import FolderBackend
from vmherd.util import command
from vmherd.util.mounts import Mount, mount_at

#: Seconds that a server may need to answer.
_PATIENCE = 60.0


class MountedBackend(FolderBackend):
    """Mount, look, unmount.  What differs is what is mounted, and by which program, which is in ``package``."""

    package = "mount"

    def owns(self, pool: Pool, mount: Mount) -> bool:
        """Whether a mount at the pool's place is the pool's."""
        raise NotImplementedError

    def command(self, pool: Pool) -> list[str]:
        """What mounts it."""
        return activate.command(pool)

    async def ready(self, pool: Pool) -> bool:
        found = await asyncio.to_thread(mount_at, folder.path_of(pool))
        if found is not None and not await asyncio.to_thread(self.owns, pool, found):
            text = f"{found.source} is mounted at {found.path}, which is where pool '{pool.name}' has its place"
            raise InvalidState(text, hint="unmount it, or give the pool another target path")
        return found is not None

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        if overwrite is not None:
            text = f"No source device specified when formatting pool '{pool.name}'"
            raise InvalidState(text, hint="leave the flag out: there is a file system already")
        await asyncio.to_thread(folder.build, pool)

    async def start(self, pool: Pool) -> None:
        path = folder.path_of(pool)
        if not await asyncio.to_thread(path.is_dir):
            raise HostError(f"mount point {path} does not exist", hint="build the pool first")
        argv = self.command(pool)
        if argv[0] == "mount" and argv[-2].startswith("-"):  # the source, which must not be taken for an option
            raise InvalidArgument(f"{argv[-2]!r} is nothing that can be mounted", hint="correct the pool's <source>")
        await command.run(argv, patience=_PATIENCE, package=self.package)

    async def stop(self, pool: Pool) -> None:
        try:
            await command.run(["umount", folder.path_of(pool)], patience=_PATIENCE, package="mount")
        except HostError as problem:
            hint = "stop the guests and programs that have files of it open: 'fuser -vm' shows them"
            raise HostError(problem.message, hint=hint) from None

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        await self._require_mounted(pool)
        return await super().refresh(pool)

    async def measure(self, pool: Pool) -> None:
        await self._require_mounted(pool)
        await super().measure(pool)

    async def _require_mounted(self, pool: Pool) -> None:
        """Raise HostError where somebody else has unmounted it: what is below is not the pool's."""
        if not await self.ready(pool):
            text = f"nothing is mounted at {folder.path_of(pool)} any more"
            raise HostError(text, hint="stop the pool and start it again")
