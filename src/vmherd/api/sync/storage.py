"""Storage pools, and the volumes in them.

Generated from aio/storage.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from vmherd.api import aio, bridge
from vmherd.driver.content import Told, nobody
from vmherd.driver.storage import PoolInfo, VolumeInfo, WipeAlgorithm
from vmherd.driver.types import JobInfo
from vmherd.events import ResourceEvent


class Pools:
    """The storage pools of a host."""

    def __init__(self, wrapped: aio.Pools) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[PoolInfo]:
        """A summary of every pool, active or not, ordered by name."""
        return self._loop.run(self._wrapped.list())

    def find(self, key: str) -> Pool:
        """The pool with this name or UUID; raises PoolNotFound."""
        return Pool(self._loop.run(self._wrapped.find(key)))

    def define(self, xml: str) -> Pool:
        """Keep a pool, or replace the kept definition of the one with the same UUID and name."""
        return Pool(self._loop.run(self._wrapped.define(xml)))

    def create(self, xml: str, *, build: bool = False, overwrite: bool | None = None) -> Pool:
        """Start a transient pool: it is gone when it stops.  ``build`` makes what it needs before; see `Pool.build`."""
        return Pool(self._loop.run(self._wrapped.create(xml, build=build, overwrite=overwrite)))

    def sources(self, kind: str, spec: str = "") -> str:
        """A <sources> document of what could be pools of a type; ``spec`` is a <source> that says where to look."""
        return self._loop.run(self._wrapped.sources(kind, spec))

    def capabilities(self) -> str:
        """A <storagepoolCapabilities> document: the types of pools that there are, with their formats."""
        return self._loop.run(self._wrapped.capabilities())

    def volume_by_path(self, path: str) -> Volume:
        """The volume of any active pool that is there, or has this key; raises VolumeNotFound."""
        return Volume(self._loop.run(self._wrapped.volume_by_path(path)))

    def events(self, *wanted: type[ResourceEvent]) -> Generator[ResourceEvent, None, None]:
        """The events of these classes, PoolEvent or PoolRefreshEvent, while the loop lasts; all if none is named."""
        return self._loop.iterate(self._wrapped.events(*wanted))


class Pool:
    """A storage pool: a place with volumes, or its definition, or both."""

    def __init__(self, wrapped: aio.Pool) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid
        self.name = wrapped.name

    def info(self) -> PoolInfo:
        """State and sizes as they are now."""
        return self._loop.run(self._wrapped.info())

    def xml(self, *, inactive: bool = False) -> str:
        """The document; of an active pool with its sizes, unless ``inactive``."""
        return self._loop.run(self._wrapped.xml(inactive=inactive))

    def build(self, *, overwrite: bool | None = None) -> None:
        """Make what an inactive pool needs, such as its folder.

        A file system is made only where ``overwrite`` is said: False keeps what the device has already, and raises
        PoolBuilt.
        """
        self._loop.run(self._wrapped.build(overwrite=overwrite))

    def start(self, *, build: bool = False, overwrite: bool | None = None) -> None:
        """Make the volumes available; ``build`` and ``overwrite`` make what the pool needs before."""
        self._loop.run(self._wrapped.start(build=build, overwrite=overwrite))

    def stop(self) -> None:
        """Make the volumes unavailable; nothing in them is lost (libvirt: destroy)."""
        self._loop.run(self._wrapped.stop())

    def refresh(self) -> None:
        """Look again which volumes there are."""
        self._loop.run(self._wrapped.refresh())

    def delete(self) -> None:
        """Remove what ``build`` made, of an inactive pool that is empty."""
        self._loop.run(self._wrapped.delete())

    def undefine(self) -> None:
        """Forget the definition of an inactive pool.  Its volumes stay where they are."""
        self._loop.run(self._wrapped.undefine())

    def set_autostart(self, enabled: bool) -> None:
        """Start the pool with the host, or no more."""
        self._loop.run(self._wrapped.set_autostart(enabled))

    def volumes(self) -> list[VolumeInfo]:
        """A summary of every volume of an active pool, ordered by name."""
        return self._loop.run(self._wrapped.volumes())

    def volume(self, name: str) -> Volume:
        """Raises VolumeNotFound."""
        return Volume(self._loop.run(self._wrapped.volume(name)))

    def create_volume(
        self, xml: str, *, source: Volume | None = None, metadata: bool = False, reflink: bool = False
    ) -> Volume:
        """Make a volume, empty or with the content of ``source``; it is there as a whole or not at all.

        ``metadata`` prepares all tables of its format at once; with ``reflink`` it shares the blocks of its source, or
        is not made.  Raises AlreadyExists for a name that is taken.
        """
        return Volume(
            self._loop.run(
                self._wrapped.create_volume(
                    xml, source=source._wrapped if source else None, metadata=metadata, reflink=reflink
                )
            )
        )

    def job(self, volume: str) -> JobInfo | None:
        """What is being done to a volume, or made of this name, and how far that is."""
        return self._loop.run(self._wrapped.job(volume))

    def abort_job(self, volume: str) -> None:
        """Ask for an end of what is done to a volume, or made of this name.  InvalidState if there is nothing."""
        self._loop.run(self._wrapped.abort_job(volume))


class Volume:
    """An image, a disk or a folder in a pool."""

    def __init__(self, wrapped: aio.Volume) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.pool = wrapped.pool
        self.pool_uuid = wrapped.pool_uuid
        self.name = wrapped.name
        self.key = wrapped.key
        self.path = wrapped.path

    def info(self) -> VolumeInfo:
        """Format and sizes as they are now."""
        return self._loop.run(self._wrapped.info())

    def xml(self) -> str:
        """The document, with what is so now."""
        return self._loop.run(self._wrapped.xml())

    def resize(self, capacity: int, *, shrink: bool = False, allocate: bool = False) -> None:
        """Give it ``capacity`` bytes; fewer than it has only with ``shrink``.

        ``allocate`` takes the room on the disk at once.  Raises Busy while a guest has it open.
        """
        self._loop.run(self._wrapped.resize(capacity, shrink=shrink, allocate=allocate))

    def wipe(self, algorithm: WipeAlgorithm = WipeAlgorithm.ZERO) -> None:
        """Overwrite the content.  Raises Busy while anybody has it open."""
        self._loop.run(self._wrapped.wipe(algorithm))

    def delete(self, *, zeroed: bool = False, snapshots: bool = False) -> None:
        """Remove it, overwritten with zeros before where that is asked for, with its ``snapshots`` where needed.

        Raises Busy while anybody has it open.
        """
        self._loop.run(self._wrapped.delete(zeroed=zeroed, snapshots=snapshots))

    def clone(self, name: str, *, pool: Pool | None = None, metadata: bool = False, reflink: bool = False) -> Volume:
        """Copy it to a volume of another name, in the same pool or in another one; as ``Pool.create_volume``."""
        return Volume(
            self._loop.run(
                self._wrapped.clone(name, pool=pool._wrapped if pool else None, metadata=metadata, reflink=reflink)
            )
        )

    def upload(self, path: str | Path, *, offset: int = 0, told: Told = nobody) -> None:
        """Replace the content from ``offset`` on with that of a file here; its holes stay holes.

        ``told`` hears how many bytes are done, of how many.  Raises Busy while anybody has it open; where the content
        is replaced from its beginning and there is room, it stays as it was until all is there.
        """
        self._loop.run(self._wrapped.upload(path, offset=offset, told=told))

    def download(self, path: str | Path, *, offset: int = 0, length: int = 0, told: Told = nobody) -> None:
        """Write the content from ``offset`` on, ``length`` bytes at most if that is not 0, to a new file here.

        Holes stay holes; half a file is removed.
        """
        self._loop.run(self._wrapped.download(path, offset=offset, length=length, told=told))
