"""Virtual functions of the host's network cards: the card itself gives each its address and its VLAN.

Source: virNetDevSetNetConfig and virHostdevNetConfigReplace of libvirt; Documentation/PCI/pci-iov-howto.rst and
rtnetlink(7), IFLA_VFINFO_LIST, of Linux
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.net import Interface
from vmherd.errors import HostError, Unsupported
from vmherd.hypervisors.qemu.host.rebind import SYSFS
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_HINT = "use <hostdev mode='subsystem' type='pci'>, where the guest's driver chooses the address"


class Function(msgspec.Struct, frozen=True):
    """A virtual function by its number, and the network device of its card."""

    card: str
    number: int


class Settings(msgspec.Struct, frozen=True):
    """``vlan`` 0 is none."""

    mac: str
    vlan: int = 0


def find(interface: Interface, sysfs: Path = SYSFS) -> Function:
    """The function that a card is.  Raises HostError for a device that is none."""
    place = interface.source.host_address if interface.source else None
    if not isinstance(place, PciAddress):
        raise HostError("a card that is a device of the host is a PCI device", hint=_HINT)
    domain, bus, slot, function = place.key
    name = f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
    device = sysfs / "bus/pci/devices" / name
    if not device.exists():
        raise HostError(f"there is no PCI device {name} on this host", hint="'lspci -D' lists them")
    numbers = [link.name for link in (device / "physfn").glob("virtfn*") if link.readlink().name == name]
    cards = sorted(each.name for each in (device / "physfn/net").glob("*"))
    if not numbers or not cards:
        text = f"PCI device {name} is no virtual function of a network card, so that nobody can set its address"
        raise HostError(text, hint=_HINT)
    return Function(cards[0], int(numbers[0].removeprefix("virtfn")))


def wanted(interface: Interface) -> Settings:
    """What the guest's card shall have.  Raises Unsupported for what functions do not have."""
    assert interface.mac is not None  # completion gives one to each
    if interface.virtualport and interface.virtualport.type:
        text = f"nobody here talks {interface.virtualport.type} with the switch that the card is on"
        raise Unsupported(text, place="interface/virtualport/@type", hint="remove <virtualport>")
    tags = interface.vlan.tags if interface.vlan else []
    if interface.vlan and (len(tags) > 1 or interface.vlan.trunk):
        text = "vlan trunking is not supported by SR-IOV network devices"
        raise Unsupported(text, place="interface/vlan", hint="give it a single tag")
    return Settings(interface.mac.address, tags[0].id if tags else 0)


async def settings(function: Function) -> Settings:
    """What a function has now.  Raises HostError."""

    async def work(links: AsyncIPRoute) -> Settings:
        found = await links.link_lookup(ifname=function.card)
        if not found:
            raise HostError(f"there is no network device {function.card!r} on this host")
        (link,) = [each async for each in await links.get_links(found[0], ext_mask=1)]
        for each in _functions(link):
            if each.get("vf_mac")["vf"] == function.number:
                vlan = each.get("vf_vlan")
                return Settings(each.get("vf_mac")["mac"], vlan["vlan"] if vlan else 0)
        raise HostError(f"the card {function.card!r} has no virtual function {function.number}")

    return await with_links(work)


def _functions(link: Any) -> list[Any]:
    listed = link.get("vfinfo_list")
    return list(listed.get_attrs("IFLA_VF_INFO")) if listed else []


async def give(function: Function, new: Settings) -> None:
    """Set up a function.  Raises HostError where its card does not let us."""

    async def work(links: AsyncIPRoute) -> None:
        found = await links.link_lookup(ifname=function.card)
        if not found:
            raise HostError(f"there is no network device {function.card!r} on this host")
        told = {"vf": function.number, "mac": new.mac, "vlan": new.vlan}
        await links.link("set", index=found[0], vf=told)

    await with_links(work, what=f"virtual function {function.number} of {function.card!r} cannot be set up")
