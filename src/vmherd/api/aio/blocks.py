"""What a running guest's disks, cards and memory do and hold."""

from __future__ import annotations

from vmherd.driver.blocks import BlockInfo, DiskError, NetStats
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope


class Blocks:
    """The disks of a domain, each named by its target ("vda") or the path of its image."""

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def info(self, disk: str) -> BlockInfo:
        """Sizes of a disk, running or not."""
        return await self._driver.domain_block_info(self._uuid, disk)

    async def stats(self, disk: str = "") -> dict[str, int]:
        """Counters of a disk, or of all added up, by libvirt's names; times are nanoseconds."""
        return await self._driver.domain_block_stats(self._uuid, disk)

    async def errors(self) -> dict[str, DiskError]:
        """Disks whose last request failed."""
        return await self._driver.domain_disk_errors(self._uuid)

    async def resize(self, disk: str, size: int) -> None:
        """Give the disk of a running guest ``size`` bytes."""
        await self._driver.domain_block_resize(self._uuid, disk, size)

    async def iotune(self, disk: str, *, scope: Scope = CURRENT) -> Params:
        """The limits of a disk by libvirt's names; 0 is none."""
        return await self._driver.domain_block_iotune(self._uuid, disk, scope=scope)

    async def set_iotune(self, disk: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Limit a disk, or no more where 0 is given; what is left out stays as it is."""
        await self._driver.domain_set_block_iotune(self._uuid, disk, params, scope=scope)

    async def set_threshold(self, dev: str, threshold: int) -> None:
        """Have a BlockThresholdEvent once the guest writes beyond that byte of the storage; 0: no more."""
        await self._driver.domain_set_block_threshold(self._uuid, dev, threshold)

    async def peek(self, disk: str, offset: int, size: int) -> bytes:
        """A part of a raw image, as it is on the host."""
        return await self._driver.domain_block_peek(self._uuid, disk, offset, size)

    async def peek_memory(self, address: int, size: int, *, physical: bool = False) -> bytes:
        """A part of the guest's memory, at an address of its first vCPU or at a physical one."""
        return await self._driver.domain_memory_peek(self._uuid, address, size, physical=physical)


class Cards:
    """The network cards of a domain, each named by its device on the host or its MAC address."""

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def stats(self, device: str) -> NetStats:
        """Counters of a card, as the guest sees them."""
        return await self._driver.domain_interface_stats(self._uuid, device)
