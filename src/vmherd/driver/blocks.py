"""Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk.

What has a name of libvirt's is in a plain dict, in libvirt's unit: times are nanoseconds, memory is KiB, all else is
bytes.  Disks are named by their target ("vda") or the path of their image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.params import Params, Value
from vmherd.driver.types import CURRENT, DomainInfo, Scope, State


class StatsGroup(IntFlag):
    """virDomainStatsTypes (include/libvirt/libvirt-domain.h)."""

    STATE = 1 << 0
    CPU_TOTAL = 1 << 1
    BALLOON = 1 << 2
    VCPU = 1 << 3
    INTERFACE = 1 << 4
    BLOCK = 1 << 5
    PERF = 1 << 6
    IOTHREAD = 1 << 7
    MEMORY = 1 << 8
    DIRTYRATE = 1 << 9
    VM = 1 << 10


ALL_GROUPS = StatsGroup((1 << 11) - 1)


class StatsFilter(IntFlag):
    """Which domains are told of; of each pair or group none is as good as all.  libvirt's numbers."""

    ACTIVE = 1 << 0
    INACTIVE = 1 << 1
    PERSISTENT = 1 << 2
    TRANSIENT = 1 << 3
    RUNNING = 1 << 4
    PAUSED = 1 << 5
    SHUTOFF = 1 << 6
    OTHER = 1 << 7

    def wants(self, info: DomainInfo) -> bool:
        """Whether a domain is among them."""
        bits = int(self)  # flags are slow to combine, and domains are many
        has = (
            1 if info.active else 2,
            4 if info.persistent else 8,
            _OF_STATE.get(info.state, 128),
        )
        return all(not bits & kinds or bits & own for kinds, own in zip(_KINDS, has, strict=True))


_OF_STATE = {State.RUNNING: 16, State.PAUSED: 32, State.SHUTOFF: 64}
_KINDS = (1 | 2, 4 | 8, 16 | 32 | 64 | 128)


class DomainStats(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """One domain's counters by libvirt's names ("block.0.rd.bytes").

    ``id`` is None while it does not run.  ``responding`` is False where the hypervisor process did not answer: then
    what only it knows is missing.  One object may be given out again and again while nothing changed: leave
    ``params`` as it is.
    """

    uuid: str
    name: str
    id: int | None
    params: Mapping[str, Value]
    responding: bool = True


class BlockInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes: what the guest sees, what of it takes room on the host, and how large its container is."""

    capacity: int
    allocation: int
    physical: int


class NetStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one card since its host side was made, as the guest sees them."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errs: int = 0
    rx_drop: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errs: int = 0
    tx_drop: int = 0


class DiskError(IntEnum):
    """virDomainDiskErrorCode."""

    NONE = 0
    UNSPEC = 1
    NO_SPACE = 2


class BlockOperations(Driver):
    """Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk."""

    async def stats_all(
        self,
        uuids: Sequence[str] | None = None,
        groups: int = 0,
        *,
        only: int = 0,
        backing: bool = False,
        enforce: bool = False,
        nowait: bool = False,
    ) -> list[DomainStats]:
        """Counters of these domains, by default of all; those that are gone are left out.

        ``groups`` are StatsGroup, 0 means all there are; ``only`` is StatsFilter.  A group that is unknown is left
        out, with ``enforce`` it raises ArgumentUnsupported.  ``backing`` tells of the images below as well;
        ``nowait`` asks no guest that is in the middle of something.  A guest that does not answer makes nobody
        wait: see DomainStats.
        """
        self._unsupported("stats_all")

    async def domain_block_info(self, uuid: str, disk: str) -> BlockInfo:
        """Sizes of a disk, running or not.  Raises InvalidArgument for no such disk, or an empty drive."""
        self._unsupported("domain_block_info")

    async def domain_block_stats(self, uuid: str, disk: str = "") -> dict[str, int]:
        """Counters of a disk, or of all added up: rd_operations, rd_bytes, rd_total_times, errs, ...

        Raises InvalidState unless it runs, InvalidArgument for no such disk.
        """
        self._unsupported("domain_block_stats")

    async def domain_block_resize(self, uuid: str, disk: str, size: int) -> None:
        """Give the disk of a running guest ``size`` bytes.  Raises InvalidState unless it runs."""
        self._unsupported("domain_block_resize")

    async def domain_block_iotune(self, uuid: str, disk: str, *, scope: Scope = CURRENT) -> Params:
        """The limits of a disk, all of them: total_bytes_sec, ..., group_name; 0 is none.

        Raises InvalidArgument for no such disk, or for both the running guest and its definition.
        """
        self._unsupported("domain_block_iotune")

    async def domain_set_block_iotune(self, uuid: str, disk: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Limit a disk, or no more where 0 is given; what is left out stays as it is.

        Raises InvalidArgument for limits that contradict each other.
        """
        self._unsupported("domain_set_block_iotune")

    async def domain_set_block_threshold(self, uuid: str, dev: str, threshold: int) -> None:
        """Have a "block-threshold" event once the guest writes beyond that byte of the storage; 0: no more.

        ``dev`` is a target, or an image of its chain: "vda[3]".
        """
        self._unsupported("domain_set_block_threshold")

    async def domain_disk_errors(self, uuid: str) -> dict[str, DiskError]:
        """Disks whose last request failed, by target.  Raises InvalidState unless it runs."""
        self._unsupported("domain_disk_errors")

    async def domain_block_peek(self, uuid: str, disk: str, offset: int, size: int) -> bytes:
        """A part of a raw image, as it is on the host.

        Raises ArgumentUnsupported for another format, InvalidArgument beyond its end.
        """
        self._unsupported("domain_block_peek")

    async def domain_memory_peek(self, uuid: str, address: int, size: int, *, physical: bool = False) -> bytes:
        """A part of the guest's memory, at an address of its first vCPU or at a physical one."""
        self._unsupported("domain_memory_peek")

    async def domain_interface_stats(self, uuid: str, device: str) -> NetStats:
        """Counters of a card, named by its device on the host or its MAC address."""
        self._unsupported("domain_interface_stats")
