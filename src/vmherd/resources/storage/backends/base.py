"""What every type of pool can do, or says that it cannot.

A backend knows one type of pool and keeps nothing of any of them: what is so is asked of the host each time.  The order
in which things happen, who may do them and what is noted is the driver's.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import msgspec

from vmherd.conf.storage import Pool, PoolType, Volume
from vmherd.driver.storage import WipeAlgorithm
from vmherd.driver.uri import ConnectURI
from vmherd.errors import NotSupported, VmherdError
from vmherd.resources.storage import image
from vmherd.resources.storage.content import Target
from vmherd.resources.storage.image import Source
from vmherd.resources.storage.opening import Use, open_volume
from vmherd.resources.storage.unfinished import target
from vmherd.resources.storage.works import Work, Works


class Surroundings(msgspec.Struct, frozen=True):
    """What a backend may use: ``uri`` for the secrets beside it, ``run`` for files that nobody else may read.

    ``works`` says who works on which volume.
    """

    uri: ConnectURI
    run: Path
    works: Works


class Lacks(NotSupported):
    """A type of pool has no such thing; the words are libvirt's."""

    def __init__(self, text: str) -> None:
        VmherdError.__init__(self, text)


class Backend:
    """Pools of one type.  Volumes that are given have been found before, unless they shall be made.

    Everything may raise HostError where the host refuses; nothing here blocks the event loop.
    """

    #: Whether the content of volumes is at their path, so that it can be read and written there.
    local = True

    def __init__(self, kind: PoolType, around: Surroundings) -> None:
        self.kind = kind
        self.around = around

    # Pools

    async def ready(self, pool: Pool) -> bool:
        """Whether the content can be reached now, whoever made it so."""
        raise NotImplementedError

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make what the pool needs: a folder, a file system, a partition table.  Most need nothing.

        ``overwrite`` is None where nobody said what becomes of content that is there already.  Raises PoolBuilt where
        it may not be overwritten.
        """

    async def unbuild(self, pool: Pool) -> None:
        """Clean up after a build whose process was killed, so that it can be tried again."""

    async def start(self, pool: Pool) -> None:
        """Make the content available; it was not ``ready``."""

    async def tidy(self, pool: Pool) -> None:
        """Remove what killed processes have left of volumes they made; others may be at work on theirs."""

    async def stop(self, pool: Pool) -> None:
        """Take back what ``start`` did.  Raises HostError while something is in use."""

    async def delete(self, pool: Pool) -> None:
        """Remove what ``build`` made, with what is in it."""
        self._lacks("pool does not support pool deletion")

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        """Every volume by name, in order; the sizes of the pool go into ``pool``."""
        raise NotImplementedError

    async def measure(self, pool: Pool) -> None:
        """Note how much room there is now; most know it from when they were refreshed."""

    async def sources(self, spec: str) -> str:
        """A document with every source of this type that could be a pool; ``spec`` is a <source> that says where."""
        self._lacks(f"pool type '{self.kind}' does not support source discovery")

    # Volumes

    def place(self, pool: Pool, volume: Volume) -> None:
        """Note in ``volume`` which path and key it will have.  Raises InvalidArgument for a name that cannot be."""
        self._lacks("storage pool does not support volume creation")

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        """A volume as it is now, None if it is gone; most know it from when they were refreshed."""
        return volume

    async def create(self, pool: Pool, volume: Volume, work: Work, *, metadata: bool = False) -> None:
        """Make an empty volume that has its ``place``; ``metadata`` prepares all of its tables at once.

        It is there as a whole or not at all.  What takes long is run in ``work``.  Raises AlreadyExists.
        """
        self._lacks("storage pool does not support volume creation")

    async def clone(
        self, pool: Pool, volume: Volume, source: Source, work: Work, *, metadata: bool = False, reflink: bool = False
    ) -> None:
        """``create`` with the content of ``source``, which is of any pool whose volumes are ``local``.

        ``reflink``: they must share their blocks.
        """
        self._lacks("storage pool does not support volume creation from an existing volume")

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        """Remove a volume, with its ``snapshots`` where that is asked for.  Raises Busy while a guest has it open."""
        self._lacks("storage pool does not support vol deletion")

    async def wipe(self, pool: Pool, volume: Volume, algorithm: WipeAlgorithm, work: Work) -> None:
        """Overwrite the content.  Raises Busy while a guest has it open."""
        if not self.local:
            self._lacks("storage pool doesn't support volume wiping")
        await image.wipe(image.path_of(volume), algorithm, work, within=self.within(pool))

    def within(self, pool: Pool) -> Path | None:
        """The folder that no symbolic link of a volume may lead out of; None where paths can be trusted."""
        return None

    def reading(self, pool: Pool, volume: Volume) -> int:
        """A descriptor of the content.  Blocks."""
        if not self.local:
            self._lacks("storage pool doesn't support volume download")
        return open_volume(image.path_of(volume), Use.LOOK, within=self.within(pool))

    def writing(self, pool: Pool, volume: Volume, work: Work, start: int, length: int) -> Target:
        """Where to write ``length`` bytes of content (0: nobody knows) from ``start`` on.  Blocks."""
        if not self.local:
            self._lacks("storage pool doesn't support volume upload")
        return target(image.path_of(volume), work, start, length, within=self.within(pool))

    async def resize(
        self,
        pool: Pool,
        volume: Volume,
        capacity: int,
        work: Work,
        *,
        shrink: bool = False,
        allocate: bool = False,
    ) -> None:
        """Give a volume another capacity.  Raises Busy while a guest has it open."""
        self._lacks("storage pool does not support changing of volume capacity")

    def _lacks(self, text: str) -> NoReturn:
        raise Lacks(text)
