"""Setting network devices up as a document says, and bringing devices back to what they were.

Source: ip-link(8), bridge(8); Documentation/networking/bonding.rst and ip-sysctl.rst of Linux
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.conf.interface import Bond, Bridge, Carrier, Family, Interface, InterfaceType, Member, Protocol, Vlan
from vmherd.errors import HostError, InvalidState
from vmherd.resources.interface.links import Address, Link, Route, read_with, version_of
from vmherd.resources.interface.show import BOND_MODES
from vmherd.util.netlink import with_links
from vmherd.util.process import boot_id

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_HUNDREDTHS = 100
_KINDS = {InterfaceType.BRIDGE: "bridge", InterfaceType.BOND: "bond", InterfaceType.VLAN: "vlan"}
_SETTINGS = Path("/proc/sys/net/ipv6/conf")
_HINT = "network devices of the host are root's"

Part = Interface | Member


def parts(part: Part) -> Iterator[Part]:
    """A document with everything in it, from the innermost to the whole."""
    for holder in (getattr(part, "bridge", None), part.bond):
        for inner in holder.interfaces if holder else []:
            yield from parts(inner)
    yield part


def lowers(document: Interface) -> set[str]:
    """The devices that VLANs of a document are on."""
    return {part.vlan.interface.name for part in parts(document) if part.vlan}


def members(document: Interface) -> set[str]:
    """The names of what is in it."""
    return {part.name for part in parts(document) if part.name and part is not document}


async def start(document: Interface) -> None:
    """Set everything up that belongs to a document.

    Raises HostError; what was done until then is for the caller to bring back.
    """
    await with_links(
        lambda links: _start(links, document), what=f"cannot start the interface {document.name}", hint=_HINT
    )


async def _start(links: AsyncIPRoute, document: Interface) -> None:
    for part in parts(document):
        await _make(links, part)
    index = await _index(links, document.name)
    if document.mtu:
        await links.link("set", index=index, mtu=document.mtu.size)
    await _clear(links, document.name)
    _set_ipv6(document)
    await links.link("set", index=index, state="up")
    for protocol in document.protocols:
        for address in addresses(protocol):
            await links.addr("add", index=index, address=address.address, prefixlen=address.prefix)
        if protocol.route:
            await links.route("add", dst="default", gateway=protocol.route.gateway, oif=index)


def addresses(protocol: Protocol) -> list[Address]:
    """The addresses that a document gives."""
    whole = 32 if protocol.family is Family.IPV4 else 128
    return [
        Address(version_of(ip.address), ip.address, ip.prefix if ip.prefix is not None else whole)
        for ip in protocol.ips
    ]


async def _index(links: AsyncIPRoute, name: str) -> int:
    found = await links.link_lookup(ifname=name)
    if not found:
        raise HostError(f"there is no network device {name!r} on this host", hint="'ip link' shows those there are")
    return int(found[0])


async def _make(links: AsyncIPRoute, part: Part) -> None:
    """Have a device with its members; one of the same kind that is there is used."""
    assert part.name is not None  # whoever reads a document sees to it
    kind = _KINDS.get(part.type)
    if kind is None:
        await _index(links, part.name)
        return
    now = (await read_with(links)).get(part.name)
    if now and now.kind != kind:
        text = f"the network device {part.name!r} is there, and is no {kind}"
        raise InvalidState(text, hint="choose another name")
    settings = await _settings(links, part)
    if now is None:
        await links.link("add", ifname=part.name, kind=kind, **settings)
    elif kind == "bridge":
        await links.link("set", index=now.index, kind=kind, **settings)
    index = await _index(links, part.name)
    if part.type is InterfaceType.BRIDGE and part.mac:
        await links.link("set", index=index, address=part.mac.address)
    holder = getattr(part, "bridge", None) or part.bond
    for inner in holder.interfaces if holder else []:
        await _plug(links, inner, part, index)
    if isinstance(part, Member):
        await links.link("set", index=index, state="up")


async def _settings(links: AsyncIPRoute, part: Part) -> dict[str, Any]:
    """What the kernel is told of a new device of the part's kind."""
    match getattr(part, "bridge", None) or part.bond or part.vlan:
        case Bridge() as bridge:
            found = {"br_stp_state": int(bool(bridge.stp))}
            if bridge.delay is not None:
                found["br_forward_delay"] = round(float(bridge.delay) * _HUNDREDTHS)
            return found
        case Bond() as bond:
            return _bond(bond)
        case Vlan() as vlan:
            return {"link": await _index(links, vlan.interface.name), "vlan_id": vlan.tag}
    return {}


def _bond(bond: Bond) -> dict[str, Any]:
    found: dict[str, Any] = {"bond_mode": BOND_MODES.index(bond.mode) if bond.mode else 0}
    if bond.miimon:
        found["bond_miimon"] = bond.miimon.freq
        found |= {"bond_downdelay": bond.miimon.downdelay} if bond.miimon.downdelay else {}
        found |= {"bond_updelay": bond.miimon.updelay} if bond.miimon.updelay else {}
        found |= {"bond_use_carrier": 0} if bond.miimon.carrier is Carrier.IOCTL else {}
    return found


async def _plug(links: AsyncIPRoute, inner: Member, holder: Part, master: int) -> None:
    """Put a device into a bridge or a bond: its addresses are the whole's then.  A bond takes none that is up."""
    assert inner.name is not None
    index = await _index(links, inner.name)
    now = (await read_with(links))[inner.name]
    await _clear(links, inner.name)
    if now.master != holder.name:
        if holder.type is InterfaceType.BOND:
            await links.link("set", index=index, state="down")
        await links.link("set", index=index, master=master)
    await links.link("set", index=index, state="up")


async def _clear(links: AsyncIPRoute, name: str) -> None:
    """Take all addresses from a device, but those of the link."""
    link = (await read_with(links))[name]
    for address in link.addresses:
        await links.addr("del", index=link.index, address=address.address, prefixlen=address.prefix)


def _set_ipv6(document: Interface) -> None:
    """Let a device take what routers tell, also where the host is a router itself; or not."""
    wanted = next((each.autoconf for each in document.protocols if each.family is Family.IPV6), None)
    if wanted is None:
        return
    with suppress(OSError):  # there is no IPv6
        (_SETTINGS / document.name / "accept_ra").write_text("2" if wanted else "0")
        (_SETTINGS / document.name / "autoconf").write_text("1" if wanted else "0")


async def stop(document: Interface) -> None:
    """Remove the devices that a document makes; switch those off that it only uses."""
    await with_links(
        lambda links: _stop(links, document), what=f"cannot stop the interface {document.name}", hint=_HINT
    )


async def _stop(links: AsyncIPRoute, document: Interface) -> None:
    for part in reversed(list(parts(document))):
        found = await links.link_lookup(ifname=part.name)
        if not found:
            continue
        if part.type in _KINDS:
            await links.link("del", index=found[0])
        else:
            await _clear(links, part.name or "")
            await links.link("set", index=found[0], state="down")


async def switch(name: str, *, on: bool) -> None:
    """Switch a device on or off that is nothing of ours, and leave all else as it is."""

    async def work(links: AsyncIPRoute) -> None:
        await links.link("set", index=await _index(links, name), state="up" if on else "down")

    await with_links(work, what=f"cannot switch the interface {name}", hint=_HINT)


async def bring_back(before: list[Link], made: list[str]) -> None:
    """Remove devices that were made, and give others what they had."""
    await with_links(
        lambda links: _bring_back(links, before, made), what="cannot bring the network devices back", hint=_HINT
    )


async def _bring_back(links: AsyncIPRoute, before: list[Link], made: list[str]) -> None:
    for name in made:
        if found := await links.link_lookup(ifname=name):
            await links.link("del", index=found[0])
    for link in before:
        now = (await read_with(links)).get(link.name)
        if now and now != link:
            await _change(links, now, link)
    for link in before:  # ways lead over other devices' addresses
        now = (await read_with(links)).get(link.name)
        for route in sorted(set(link.routes) - set(now.routes)) if now else []:
            with suppress(*_netlink_errors()):  # it leads nowhere now
                await links.route("add", oif=now.index if now else 0, **_route(route))


async def _change(links: AsyncIPRoute, now: Link, wanted: Link) -> None:
    """Make a device what it was."""
    if now.master != wanted.master:
        master = await links.link_lookup(ifname=wanted.master) if wanted.master else [0]
        if master:
            await links.link("set", index=now.index, master=master[0])
    if now.mtu != wanted.mtu:
        await links.link("set", index=now.index, mtu=wanted.mtu)
    if now.mac != wanted.mac:
        await links.link("set", index=now.index, address=wanted.mac)
    for address in sorted(set(now.addresses) - set(wanted.addresses)):
        await links.addr("del", index=now.index, address=address.address, prefixlen=address.prefix)
    await links.link("set", index=now.index, state="up" if wanted.up else "down")
    present = (await read_with(links))[now.name]
    for address in sorted(set(wanted.addresses) - set(present.addresses)):
        await links.addr("add", index=now.index, address=address.address, prefixlen=address.prefix)


def _route(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"dst": route.destination, "proto": route.origin}
    if route.version == 6 and route.destination == "default":
        found["dst"] = "::/0"
    if route.gateway:
        found["gateway"] = route.gateway
    if route.priority:
        found["priority"] = route.priority
    return found


def _netlink_errors() -> tuple[type[Exception], ...]:
    from pyroute2 import NetlinkError

    return (NetlinkError,)


class Note(msgspec.Struct, kw_only=True):
    """What is about to be changed: devices as they are, and the names of those that will be made.

    ``boot`` is the kernel's boot id: after another boot there is nothing to bring back.
    """

    before: list[Link]
    made: list[str]
    boot: str

    @classmethod
    def of(cls, document: Interface, links: dict[str, Link]) -> Note:
        names = {part.name for part in parts(document) if part.name}
        makes = {part.name for part in parts(document) if part.name and part.type in _KINDS}
        return cls(
            before=[links[name] for name in sorted(names) if name in links],
            made=sorted(makes - links.keys()),
            boot=boot_id(),
        )
