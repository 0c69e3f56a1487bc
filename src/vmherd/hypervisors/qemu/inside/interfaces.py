"""The network interfaces of a guest.

Source: guest-network-get-interfaces in QEMU's qga/qapi-schema.json; qemuAgentGetInterfaces of libvirt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface
from vmherd.driver.agent import GuestAddress, GuestInterface
from vmherd.driver.network import Lease
from vmherd.driver.params import Params
from vmherd.hypervisors.qemu.agent import Agent
from vmherd.hypervisors.qemu.inside import Told

_FAMILIES = {"ipv4": 4, "ipv6": 6}
#: A line is: address, type, flags, MAC, mask, device.  Flag 2: the entry is complete (proc_net(5), if_arp.h).
_NEIGHBOURS = Path("/proc/net/arp")
_COMPLETE = 2


class _Address(Told, frozen=True):
    ip_address: str
    ip_address_type: Literal["ipv4", "ipv6"]
    prefix: Annotated[int, msgspec.Meta(ge=0, le=128)]


class _Interface(Told, frozen=True):
    name: str
    hardware_address: str = ""
    ip_addresses: tuple[_Address, ...] = ()


async def ask(agent: Agent) -> list[GuestInterface]:
    """As the agent tells them; what is another name of an interface ("eth0:1") counts for that."""
    found: dict[str, GuestInterface] = {}
    for told in await agent.ask("guest-network-get-interfaces", list[_Interface]):
        name = told.name.partition(":")[0]
        known = found.get(name) or GuestInterface(name=name, mac=told.hardware_address)
        addresses = tuple(
            GuestAddress(family=_FAMILIES[each.ip_address_type], address=each.ip_address, prefix=each.prefix)
            for each in told.ip_addresses
        )
        found[name] = GuestInterface(name=name, mac=known.mac, addresses=known.addresses + addresses)
    return list(found.values())


def from_neighbours(domain: Domain) -> list[GuestInterface]:
    """As far as the host has talked to them lately."""
    seen: dict[str, list[GuestAddress]] = {}
    for line in _NEIGHBOURS.read_text().splitlines()[1:]:
        address, _, flags, mac, *_ = line.split()
        if int(flags, 16) & _COMPLETE:
            seen.setdefault(mac.lower(), []).append(GuestAddress(family=4, address=address, prefix=0))
    return [
        GuestInterface(name=card.target.dev if card.target and card.target.dev else "", mac=mac, addresses=tuple(told))
        for card in domain.devices.interfaces
        if card.mac and (told := seen.get((mac := card.mac.address).lower()))
    ]


def network(card: Interface) -> str:
    """The network that a card is in, "" for one in none."""
    return card.source.network or "" if card.source else ""


def from_leases(domain: Domain, leases: Mapping[str, Sequence[Lease]]) -> list[GuestInterface]:
    """As the DHCP servers of their networks, named in ``leases``, tell; cards without an address are left out.

    Source: qemuGetDHCPInterfaces of libvirt
    """
    found = []
    for card in domain.devices.interfaces:
        mac = card.mac.address.lower() if card.mac else ""
        addresses = tuple(
            GuestAddress(family=6 if each.ipv6 else 4, address=each.address, prefix=each.prefix)
            for each in leases.get(network(card), ())
            if each.mac.lower() == mac
        )
        if addresses:
            name = card.target.dev if card.target and card.target.dev else ""
            found.append(GuestInterface(name=name, mac=mac, addresses=addresses))
    return found


def leased_name(domain: Domain, leases: Mapping[str, Sequence[Lease]]) -> str:
    """The name that the guest asked for together with an address; "" if it asked for none.

    Source: qemuDomainGetHostnameLease of libvirt
    """
    for card in domain.devices.interfaces:
        mac = card.mac.address.lower() if card.mac else ""
        for lease in leases.get(network(card), ()):
            if lease.mac.lower() == mac and lease.hostname:
                return lease.hostname
    return ""


def params(found: list[GuestInterface]) -> Params:
    """By the names of VIR_DOMAIN_GUEST_INFO_IF_*."""
    told: Params = {"if.count": len(found)}
    for number, each in enumerate(found):
        told[f"if.{number}.name"] = each.name
        if each.mac:
            told[f"if.{number}.hwaddr"] = each.mac
        told[f"if.{number}.addr.count"] = len(each.addresses)
        for index, address in enumerate(each.addresses):
            told[f"if.{number}.addr.{index}.type"] = f"ipv{address.family}"
            told[f"if.{number}.addr.{index}.addr"] = address.address
            told[f"if.{number}.addr.{index}.prefix"] = address.prefix
    return told
