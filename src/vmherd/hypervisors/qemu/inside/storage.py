"""The file systems and disks of a guest, and which disks of its document they are on.

Source: guest-get-fsinfo and guest-get-disks in QEMU's qga/qapi-schema.json; qemuAgentGetFSInfo, qemuAgentGetDisks and
virDomainDiskByAddress of libvirt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress, PciAddress
from vmherd.conf.domain.disk import Disk
from vmherd.driver.agent import GuestFilesystem
from vmherd.driver.params import Params
from vmherd.hypervisors.qemu.agent import Agent

Told = Mapping[str, Any]


async def filesystems(agent: Agent, domain: Domain) -> list[GuestFilesystem]:
    """What is mounted."""
    return [
        GuestFilesystem(
            mountpoint=each["mountpoint"],
            name=each["name"],
            type=each["type"],
            disks=tuple(disk for place in each.get("disk", []) if (disk := _target(domain, place))),
        )
        for each in await agent.execute("guest-get-fsinfo")
    ]


async def filesystem_params(agent: Agent, domain: Domain) -> Params:
    """By the names of VIR_DOMAIN_GUEST_INFO_FS_*."""
    found: Sequence[Told] = await agent.execute("guest-get-fsinfo")
    told: Params = {"fs.count": len(found)}
    for number, each in enumerate(found):
        here = f"fs.{number}"
        told |= {f"{here}.mountpoint": each["mountpoint"], f"{here}.name": each["name"], f"{here}.fstype": each["type"]}
        for ours, theirs in (("total-bytes", "total-bytes"), ("used-bytes", "used-bytes")):
            if theirs in each:
                told[f"{here}.{ours}"] = each[theirs]
        places = each.get("disk", [])
        told[f"{here}.disk.count"] = len(places)
        for index, place in enumerate(places):
            values = {"alias": _target(domain, place), "serial": place.get("serial"), "device": place.get("dev")}
            told |= {f"{here}.disk.{index}.{name}": value for name, value in values.items() if value}
    return told


async def disk_params(agent: Agent, domain: Domain) -> Params:
    """By the names of VIR_DOMAIN_GUEST_INFO_DISK_*."""
    found: Sequence[Told] = await agent.execute("guest-get-disks")
    told: Params = {"disk.count": len(found)}
    for number, each in enumerate(found):
        here, place = f"disk.{number}", each.get("address", {})
        told |= {f"{here}.name": each["name"], f"{here}.partition": bool(each["partition"])}
        below = each.get("dependencies", [])
        if below:
            told[f"{here}.dependency.count"] = len(below)
            told |= {f"{here}.dependency.{index}.name": name for index, name in enumerate(below)}
        values = {
            "serial": place.get("serial"),
            "alias": _target(domain, place),
            "guest_alias": each.get("alias"),
            "guest_bus": place.get("bus-type"),
        }
        told |= {f"{here}.{name}": value for name, value in values.items() if value}
    return told


def _target(domain: Domain, place: Told) -> str | None:
    """The disk at a place as the agent tells it: the PCI address of its controller, and where it is on that."""
    if "pci-controller" not in place:
        return None
    for disk in domain.devices.disks:
        if _is_at(domain, disk, place):
            return disk.target.dev
    return None


def _is_at(domain: Domain, disk: Disk, place: Told) -> bool:
    match disk.address:
        case PciAddress() as address:
            return _same(address, place["pci-controller"])
        case DriveAddress() as address:
            if (address.bus, address.target, address.unit) != (place["bus"], place["target"], place["unit"]):
                return False
            return any(
                controller.type == str(disk.target.bus)
                and controller.index == address.controller
                and isinstance(controller.address, PciAddress)
                and _same(controller.address, place["pci-controller"])
                for controller in domain.devices.controllers
            )
    return False


def _same(address: PciAddress, told: Told) -> bool:
    ours = (address.domain or 0, address.bus or 0, address.slot or 0, address.function or 0)
    return ours == (told["domain"], told["bus"], told["slot"], told["function"])
