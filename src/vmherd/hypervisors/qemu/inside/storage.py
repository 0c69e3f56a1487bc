"""The file systems and disks of a guest, and which disks of its document they are on.

Source: guest-get-fsinfo and guest-get-disks in QEMU's qga/qapi-schema.json; qemuAgentGetFSInfo, qemuAgentGetDisks and
virDomainDiskByAddress of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress, PciAddress
from vmherd.conf.domain.disk import Disk
from vmherd.driver.agent import GuestFilesystem
from vmherd.driver.params import Params
from vmherd.hypervisors.qemu.agent import Agent
from vmherd.hypervisors.qemu.inside import Size, Told


class _Controller(Told, frozen=True):
    """A PCI address, -1 where the guest does not know it."""

    domain: int
    bus: int
    slot: int
    function: int


class _Place(Told, frozen=True):
    """Where a disk is: the controller it is on, and its address there."""

    pci_controller: _Controller
    bus_type: str = ""
    bus: int = 0
    target: int = 0
    unit: int = 0
    serial: str | None = None
    dev: str | None = None


class _Filesystem(Told, frozen=True):
    name: str
    mountpoint: str
    type: str
    disk: tuple[_Place, ...] = ()
    total_bytes: Size | None = None
    used_bytes: Size | None = None


class _Disk(Told, frozen=True):
    name: str
    partition: bool
    dependencies: tuple[str, ...] = ()
    address: _Place | None = None
    alias: str | None = None


async def filesystems(agent: Agent, domain: Domain) -> list[GuestFilesystem]:
    """What is mounted."""
    return [
        GuestFilesystem(
            mountpoint=each.mountpoint,
            name=each.name,
            type=each.type,
            disks=tuple(disk for place in each.disk if (disk := _target(domain, place))),
        )
        for each in await agent.ask("guest-get-fsinfo", list[_Filesystem])
    ]


async def filesystem_params(agent: Agent, domain: Domain) -> Params:
    """By the names of VIR_DOMAIN_GUEST_INFO_FS_*."""
    found = await agent.ask("guest-get-fsinfo", list[_Filesystem])
    told: Params = {"fs.count": len(found)}
    for number, each in enumerate(found):
        here = f"fs.{number}"
        told |= {f"{here}.mountpoint": each.mountpoint, f"{here}.name": each.name, f"{here}.fstype": each.type}
        told |= _known({f"{here}.total-bytes": each.total_bytes, f"{here}.used-bytes": each.used_bytes})
        told[f"{here}.disk.count"] = len(each.disk)
        for index, place in enumerate(each.disk):
            values = {"alias": _target(domain, place), "serial": place.serial, "device": place.dev}
            told |= _known({f"{here}.disk.{index}.{name}": value or None for name, value in values.items()})
    return told


async def disk_params(agent: Agent, domain: Domain) -> Params:
    """By the names of VIR_DOMAIN_GUEST_INFO_DISK_*."""
    found = await agent.ask("guest-get-disks", list[_Disk])
    told: Params = {"disk.count": len(found)}
    for number, each in enumerate(found):
        here, place = f"disk.{number}", each.address
        told |= {f"{here}.name": each.name, f"{here}.partition": each.partition}
        if each.dependencies:
            told[f"{here}.dependency.count"] = len(each.dependencies)
            told |= {f"{here}.dependency.{index}.name": name for index, name in enumerate(each.dependencies)}
        values = {"guest_alias": each.alias}
        if place:
            values |= {"serial": place.serial, "alias": _target(domain, place), "guest_bus": place.bus_type}
        told |= _known({f"{here}.{name}": value or None for name, value in values.items()})
    return told


def _known(values: dict[str, str | None] | dict[str, int | None]) -> Params:
    return {name: value for name, value in values.items() if value is not None}


def _target(domain: Domain, place: _Place) -> str | None:
    """The disk at a place as the agent tells it."""
    return next((disk.target.dev for disk in domain.devices.disks if _is_at(domain, disk, place)), None)


def _is_at(domain: Domain, disk: Disk, place: _Place) -> bool:
    match disk.address:
        case PciAddress() as address:
            return _same(address, place.pci_controller)
        case DriveAddress() as address:
            if (address.bus, address.target, address.unit) != (place.bus, place.target, place.unit):
                return False
            return any(
                controller.type == str(disk.target.bus)
                and controller.index == address.controller
                and isinstance(controller.address, PciAddress)
                and _same(controller.address, place.pci_controller)
                for controller in domain.devices.controllers
            )
    return False


def _same(address: PciAddress, told: _Controller) -> bool:
    ours = (address.domain or 0, address.bus or 0, address.slot or 0, address.function or 0)
    return ours == (told.domain, told.bus, told.slot, told.function)
