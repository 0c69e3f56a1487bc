"""What the guests of the test driver have inside: as much as in libvirt's, and always the same.

Source: testDomainGetHostname, testDomainGetFSInfo and their neighbours, as virsh shows them on test:///default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from weakref import WeakKeyDictionary

from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.net import InterfaceType
from vmherd.driver.agent import AddressSource, GuestAddress, GuestFilesystem, GuestInterface
from vmherd.driver.control import ControlInfo, ControlState
from vmherd.errors import InvalidArgument, InvalidState
from vmherd.state.driver import LocalDriver
from vmherd.state.store import Store

#: Nanoseconds since the epoch that every guest's clock stands at.
_TIME = 627319920 * 1_000_000_000
#: What a guest with a disk vda has mounted.
_MOUNTED = {"/": "vda1", "/boot": "vda2"}


class TestInside(LocalDriver):
    """An agent that is always there."""

    __test__ = False
    #: Mount points that are frozen, by domain; every connection to a store sees the same.
    _frozen: ClassVar[WeakKeyDictionary[Store, dict[str, set[str]]]] = WeakKeyDictionary()

    async def domain_control_info(self, uuid: str) -> ControlInfo:
        self._inside(uuid)
        return ControlInfo(state=ControlState.OK)

    async def domain_hostname(self, uuid: str, source: AddressSource | None = None) -> str:
        if source is AddressSource.AGENT:
            raise InvalidArgument("the guests of the test driver have no agent to tell their names")
        return f"{self._inside(uuid).name}host"

    async def domain_addresses(self, uuid: str, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        cards = [each for each in self._inside(uuid).devices.interfaces if each.type is InterfaceType.NETWORK]
        return [
            GuestInterface(
                name=card.target.dev if card.target and card.target.dev else f"net{number}",
                mac=card.mac.address if card.mac else "",
                addresses=(GuestAddress(family=4, address=f"192.168.122.{number + 3}", prefix=24),),
            )
            for number, card in enumerate(cards[:250])
        ]

    async def domain_filesystems(self, uuid: str) -> list[GuestFilesystem]:
        mounted = self._mounted(uuid)
        return [GuestFilesystem(mountpoint=where, name=name, type="ext4", disks=("vda",)) for where, name in mounted]

    async def domain_freeze(self, uuid: str, mountpoints: Sequence[str] = ()) -> int:
        self.require_writable()
        there = {where for where, _ in self._mounted(uuid)}
        wanted = set(mountpoints) or there
        if unknown := wanted - there:
            raise InvalidArgument(f"nothing is mounted at {min(unknown)}")
        frozen = self._frozen.setdefault(self.store, {}).setdefault(uuid, set())
        fresh = wanted - frozen
        frozen |= fresh
        return len(fresh)

    async def domain_thaw(self, uuid: str) -> int:
        self.require_writable()
        self._inside(uuid)
        return len(self._frozen.get(self.store, {}).pop(uuid, ()))

    async def domain_trim(self, uuid: str, *, minimum: int = 0) -> None:
        self.require_writable()
        self._inside(uuid)

    async def domain_time(self, uuid: str) -> int:
        self._inside(uuid)
        return _TIME

    async def domain_set_time(self, uuid: str, nanoseconds: int | None) -> None:
        self.require_writable()
        self._inside(uuid)

    async def domain_set_user_password(self, uuid: str, user: str, password: str, *, encrypted: bool = False) -> None:
        self.require_writable()
        self._inside(uuid)

    def _inside(self, uuid: str) -> Domain:
        live = self.table.get(uuid).live
        if live is None:
            raise InvalidState("domain is not running")
        return parse_domain(live.xml)

    def _mounted(self, uuid: str) -> list[tuple[str, str]]:
        disks = [disk.target.dev for disk in self._inside(uuid).devices.disks]
        return list(_MOUNTED.items()) if "vda" in disks else []
