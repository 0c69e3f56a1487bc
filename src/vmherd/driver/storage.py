"""The storage driver API: pools, and the volumes in them.

Pools are named by UUID, volumes by their pool's UUID and their name.  Sizes are in bytes.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from vmherd.driver.content import VolumeContent
from vmherd.driver.resource import ResourceDriver
from vmherd.driver.types import JobInfo
from vmherd.events import ResourceEvent


class PoolState(IntEnum):
    """virStoragePoolState (include/libvirt/libvirt-storage.h)."""

    INACTIVE = 0
    BUILDING = 1
    RUNNING = 2
    DEGRADED = 3
    INACCESSIBLE = 4


class VolumeKind(IntEnum):
    """virStorageVolType."""

    FILE = 0
    BLOCK = 1
    DIR = 2
    NETWORK = 3
    NETDIR = 4
    PLOOP = 5


class WipeAlgorithm(IntEnum):
    """virStorageVolWipeAlgorithm; scrub(1) describes most."""

    ZERO = 0
    NNSA = 1
    DOD = 2
    BSI = 3
    GUTMANN = 4
    SCHNEIER = 5
    PFITZNER7 = 6
    PFITZNER33 = 7
    RANDOM = 8
    TRIM = 9


class PoolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as lists show it; the sizes of one that is not active are 0."""

    uuid: str
    name: str
    type: str
    state: PoolState
    persistent: bool = True
    autostart: bool = False
    path: str = ""
    capacity: int = 0
    allocation: int = 0
    available: int = 0

    @property
    def active(self) -> bool:
        return self.state is not PoolState.INACTIVE


class VolumeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as lists show it.

    ``capacity`` is what a guest sees, ``allocation`` what the host has used for it, ``physical`` how long the file is.
    """

    pool: str
    pool_uuid: str
    name: str
    key: str
    path: str
    kind: VolumeKind
    format: str
    capacity: int
    allocation: int
    physical: int


class StorageDriver(ResourceDriver[ResourceEvent]):
    """Base of storage drivers."""

    name = "storage"

    async def pool_list(self) -> list[PoolInfo]:
        """Every pool, ordered by name."""
        self._unsupported("pool_list")

    async def pool_find(self, key: str) -> PoolInfo:
        """The pool with this name or UUID; raises PoolNotFound."""
        self._unsupported("pool_find")

    async def pool_uuid(self, key: str) -> str:
        """The UUID of the pool with this name or UUID, without a look at it; raises PoolNotFound."""
        return (await self.pool_find(key)).uuid

    async def pool_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The document; of an active pool with its sizes, unless ``inactive``."""
        self._unsupported("pool_xml")

    async def pool_define(self, xml: str) -> PoolInfo:
        """Keep a pool, or replace the definition of the one with this UUID and name."""
        self._unsupported("pool_define")

    async def pool_create(self, xml: str, *, build: bool = False, overwrite: bool | None = None) -> PoolInfo:
        """Start a pool that is gone when it stops; ``build`` makes what it needs before, as ``pool_build``."""
        self._unsupported("pool_create")

    async def pool_undefine(self, uuid: str) -> None:
        """Forget the definition of an inactive pool.  Its volumes stay where they are."""
        self._unsupported("pool_undefine")

    async def pool_build(self, uuid: str, *, overwrite: bool | None = None) -> None:
        """Make what an inactive pool needs, such as its folder.

        A file system is made only where ``overwrite`` is said: False keeps what the device has already, and raises
        PoolBuilt.
        """
        self._unsupported("pool_build")

    async def pool_start(self, uuid: str, *, build: bool = False, overwrite: bool | None = None) -> None:
        """Make the volumes of a pool available; ``build`` and ``overwrite`` as for ``pool_create``."""
        self._unsupported("pool_start")

    async def pool_stop(self, uuid: str) -> None:
        """Make the volumes unavailable; nothing in them is lost (libvirt: destroy)."""
        self._unsupported("pool_stop")

    async def pool_delete(self, uuid: str) -> None:
        """Remove what ``pool_build`` made, of an inactive pool that is empty."""
        self._unsupported("pool_delete")

    async def pool_sources(self, kind: str, spec: str = "") -> str:
        """A <sources> document of what could be pools of a type; ``spec`` is a <source> that says where to look."""
        self._unsupported("pool_sources")

    async def pool_capabilities(self) -> str:
        """A <storagepoolCapabilities> document: the types of pools there are, with their formats."""
        self._unsupported("pool_capabilities")

    async def pool_refresh(self, uuid: str) -> None:
        """Look again which volumes there are."""
        self._unsupported("pool_refresh")

    async def pool_set_autostart(self, uuid: str, enabled: bool) -> None:
        """Start the pool with the host, or no more."""
        self._unsupported("pool_set_autostart")

    async def volume_list(self, pool: str) -> list[VolumeInfo]:
        """Every volume of an active pool, ordered by name."""
        self._unsupported("volume_list")

    async def volume_find(self, pool: str, name: str, *, known: bool = False) -> VolumeInfo:
        """A volume as it is now, or as it was ``known`` to be when somebody looked last.  Raises VolumeNotFound."""
        self._unsupported("volume_find")

    async def volume_by_path(self, path: str) -> VolumeInfo:
        """The volume of any active pool that is there, or has this key; raises VolumeNotFound."""
        self._unsupported("volume_by_path")

    async def volume_xml(self, pool: str, name: str) -> str:
        """The document, with what is so now."""
        self._unsupported("volume_xml")

    async def volume_create(
        self,
        pool: str,
        xml: str,
        *,
        source: tuple[str, str] | None = None,
        metadata: bool = False,
        reflink: bool = False,
    ) -> VolumeInfo:
        """Make a volume, empty or with the content of ``source`` (a pool and a name).

        ``metadata`` prepares all tables of its format at once; with ``reflink`` it shares the blocks of its source, or
        is not made.  It is there as a whole or not at all.  Raises AlreadyExists for a name that is taken, Busy while
        somebody may write to the source.
        """
        self._unsupported("volume_create")

    async def volume_delete(self, pool: str, name: str, *, zeroed: bool = False, snapshots: bool = False) -> None:
        """Remove a volume, overwritten with zeros before where that is asked for, with its ``snapshots`` where needed.

        Raises Busy while anybody has it open.
        """
        self._unsupported("volume_delete")

    async def volume_wipe(self, pool: str, name: str, *, algorithm: WipeAlgorithm = WipeAlgorithm.ZERO) -> None:
        """Overwrite the content.  Raises Busy while anybody has it open."""
        self._unsupported("volume_wipe")

    async def volume_upload(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        """Replace the content from ``offset`` on with what is written, ``length`` bytes at most where that is not 0.

        ``sparse``: holes may be told.  Raises Busy while anybody has it open; HostError, from what it returns, on a
        full disk.  Where the content is replaced from its beginning and there is room, the volume is as it was until
        all is there.
        """
        self._unsupported("volume_upload")

    async def volume_download(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        """Read the content from ``offset`` on, ``length`` bytes at most where that is not 0.

        ``sparse``: holes are told as such.  A guest may write meanwhile: what is read is what is there then.
        """
        self._unsupported("volume_download")

    async def volume_job(self, pool: str, name: str) -> JobInfo | None:
        """What is being done to a volume, or made of this name, and how far that is."""
        self._unsupported("volume_job")

    async def volume_abort(self, pool: str, name: str) -> None:
        """Ask for an end of what is done to a volume.  Raises InvalidState if there is nothing."""
        self._unsupported("volume_abort")

    async def volume_resize(
        self, pool: str, name: str, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        """Give a volume another capacity; a smaller one only with ``shrink``.

        ``allocate`` takes the room on the disk at once.  Raises Busy while a guest has it open.
        """
        self._unsupported("volume_resize")
