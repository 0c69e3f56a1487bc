"""What a running guest's disks, cards and memory do and hold.

Generated from aio/blocks.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from vmherd.api import aio, bridge
from vmherd.driver.blocks import BlockInfo, DiskError, NetStats
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope


class Blocks:
    """The disks of a domain, each named by its target ("vda") or the path of its image."""

    def __init__(self, wrapped: aio.Blocks) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def info(self, disk: str) -> BlockInfo:
        """Sizes of a disk, running or not."""
        return self._loop.run(self._wrapped.info(disk))

    def stats(self, disk: str = "") -> dict[str, int]:
        """Counters of a disk, or of all added up, by libvirt's names; times are nanoseconds."""
        return self._loop.run(self._wrapped.stats(disk))

    def errors(self) -> dict[str, DiskError]:
        """Disks whose last request failed."""
        return self._loop.run(self._wrapped.errors())

    def resize(self, disk: str, size: int) -> None:
        """Give the disk of a running guest ``size`` bytes."""
        self._loop.run(self._wrapped.resize(disk, size))

    def iotune(self, disk: str, *, scope: Scope = CURRENT) -> Params:
        """The limits of a disk by libvirt's names; 0 is none."""
        return self._loop.run(self._wrapped.iotune(disk, scope=scope))

    def set_iotune(self, disk: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Limit a disk, or no more where 0 is given; what is left out stays as it is."""
        self._loop.run(self._wrapped.set_iotune(disk, params, scope=scope))

    def set_threshold(self, dev: str, threshold: int) -> None:
        """Have a BlockThresholdEvent once the guest writes beyond that byte of the storage; 0: no more."""
        self._loop.run(self._wrapped.set_threshold(dev, threshold))

    def peek(self, disk: str, offset: int, size: int) -> bytes:
        """A part of a raw image, as it is on the host."""
        return self._loop.run(self._wrapped.peek(disk, offset, size))

    def peek_memory(self, address: int, size: int, *, physical: bool = False) -> bytes:
        """A part of the guest's memory, at an address of its first vCPU or at a physical one."""
        return self._loop.run(self._wrapped.peek_memory(address, size, physical=physical))


class Cards:
    """The network cards of a domain, each named by its device on the host or its MAC address."""

    def __init__(self, wrapped: aio.Cards) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def stats(self, device: str) -> NetStats:
        """Counters of a card, as the guest sees them."""
        return self._loop.run(self._wrapped.stats(device))
