"""The network cards of a container: ``lxc.net.N`` since LXC 3, a block of ``lxc.network`` lines before.

Source: lxcAddNetworkDefinition of libvirt
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vmherd.conf.domain import Domain
from vmherd.conf.domain.hostdev import Hostdev, HostdevMode, HostdevType, NetSource
from vmherd.conf.domain.net import (
    GuestSide,
    Interface,
    InterfaceSource,
    InterfaceType,
    IpAddress,
    Link,
    LinkState,
    MacAddress,
    Route,
)
from vmherd.errors import DocumentError, InvalidArgument
from vmherd.hypervisors.lxc.numbers import number
from vmherd.hypervisors.lxc.settings import Settings
from vmherd.util import addresses

_NUMBERED = re.compile(r"([0-9]+)\.(.+)")
_MACVLAN = ("private", "vepa", "bridge", "passthru")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
#: What is taken over of each type of card; one of the host comes as it is.
_TAKEN = {
    "veth": {"type", "link", "flags", "hwaddr", "name"},
    "macvlan": {"type", "link", "flags", "hwaddr", "name", "macvlan.mode"},
    "vlan": {"type", "link", "flags", "vlan.id"},
    "phys": {"type", "link", "flags"},
}
_ADDRESSES = {"ipv4": "ipv4", "ipv4.address": "ipv4", "ipv6": "ipv6", "ipv6.address": "ipv6"}
_GATEWAYS = {"ipv4.gateway": ("ipv4", "0.0.0.0"), "ipv6.gateway": ("ipv6", "::")}  # noqa: S104 - the default route


@dataclass
class _Card:
    """The settings of one card."""

    told: dict[str, str] = field(default_factory=dict)
    ips: list[IpAddress] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)

    def tell(self, key: str, value: str) -> None:
        place = f"lxc.net.{key}"
        if key in _ADDRESSES:
            address, _, prefix = value.split()[0].partition("/") if value else ("", "", "")
            self.ips.append(
                IpAddress(
                    address=_address(address, place),
                    family=_ADDRESSES[key],
                    prefix=number(prefix, place, high=128) if prefix else None,
                )
            )
        elif key in _GATEWAYS:
            family, everywhere = _GATEWAYS[key]
            self.routes.append(Route(family=family, address=everywhere, gateway=_address(value, place)))
        else:
            self.told[key] = value

    def left(self) -> list[str]:
        """What is not taken over."""
        taken = _TAKEN.get(self.told.get("type", ""), {"type"})
        return [f"lxc.net.{key} = {value}" for key, value in self.told.items() if key not in taken]


def read(settings: Settings, domain: Domain) -> list[str]:
    """Add the network cards to ``domain``; a container without any has a network of its own, with nothing in it.

    Returns what was not taken over.
    """
    cards = [*_blocks(settings), *_numbered(settings)]
    for card in cards:
        _add(card, domain)
    shared = any(card.told.get("type") == "none" for card in cards)
    devices = domain.devices
    if not devices.interfaces and not devices.hostdevs and not shared and domain.features:
        domain.features.privnet = True
    return [line for card in cards for line in card.left()]


def _blocks(settings: Settings) -> list[_Card]:
    """Each line with a type begins a card."""
    cards: list[_Card] = []
    for key, value in settings.below("lxc.network."):
        if key == "type" or not cards:
            cards.append(_Card())
        cards[-1].tell(key, value)
    return cards


def _numbered(settings: Settings) -> list[_Card]:
    cards: dict[str, _Card] = {}
    for key, value in settings.below("lxc.net."):
        found = _NUMBERED.fullmatch(key)
        if not found:
            hint = "write it like lxc.net.0.type"
            raise DocumentError("the number of the card is missing", place=f"lxc.net.{key}", hint=hint)
        cards.setdefault(found[1], _Card()).tell(found[2], value)
    return list(cards.values())


def _add(card: _Card, domain: Domain) -> None:
    kind = card.told.get("type", "")
    if kind in ("phys", "vlan"):
        domain.devices.hostdevs.append(_moved(card, kind))
    elif kind in ("veth", "macvlan"):
        domain.devices.interfaces.append(_made(card, kind))
    elif kind not in ("", "empty", "none"):
        hint = "use veth, macvlan, vlan, phys, empty or none"
        raise DocumentError(f"network cards of type {kind!r} are not supported", place="lxc.net.type", hint=hint)


def _moved(card: _Card, kind: str) -> Hostdev:
    """A card of the host that goes into the container; that of a VLAN has to be made before."""
    link = card.told.get("link")
    if not link:
        raise DocumentError(f"which card of the host a {kind} card is, is missing", place="lxc.net.link")
    vlan = card.told.get("vlan.id")
    return Hostdev(
        mode=HostdevMode.CAPABILITIES,
        type=HostdevType.NET,
        source=NetSource(interface=f"{link}.{vlan}" if kind == "vlan" and vlan else link),
        ips=card.ips,
        routes=card.routes,
    )


def _made(card: _Card, kind: str) -> Interface:
    """A pair of devices on a bridge or on none, or a device on top of one of the host."""
    told = card.told
    link, mac, name = told.get("link"), told.get("hwaddr"), told.get("name")
    if mac and not _MAC.fullmatch(mac.lower()):
        hint = "write it like 52:54:00:12:34:56, or leave it out"
        raise DocumentError(f"{mac!r} is no MAC address", place="lxc.net.hwaddr", hint=hint)
    if kind == "macvlan":
        type_, source = InterfaceType.DIRECT, _on_top(link, told.get("macvlan.mode"))
    elif link:
        type_, source = InterfaceType.BRIDGE, InterfaceSource(bridge=link)
    else:
        type_, source = InterfaceType.ETHERNET, None
    return Interface(
        type=type_,
        mac=MacAddress(address=mac.lower()) if mac else None,
        source=source,
        ips=card.ips,
        routes=card.routes,
        guest=GuestSide(dev=name) if name else None,
        link=Link(state=LinkState.UP if told.get("flags") == "up" else LinkState.DOWN),
    )


def _on_top(link: str | None, mode: str | None) -> InterfaceSource:
    if not link:
        raise DocumentError("which card of the host a macvlan card is on, is missing", place="lxc.net.link")
    if mode is not None and mode not in _MACVLAN:
        hint = f"use one of {', '.join(_MACVLAN)}"
        raise DocumentError(f"{mode!r} is no mode of macvlan", place="lxc.net.macvlan.mode", hint=hint)
    return InterfaceSource(dev=link, mode="passthrough" if mode == "passthru" else mode or "private")


def _address(text: str, place: str) -> str:
    try:
        return addresses.shown(addresses.parse(text))
    except InvalidArgument as problem:
        hint = "LXC finds it out where it says auto: write the address" if text == "auto" else ""
        raise DocumentError(problem.message, place=place, hint=hint) from None
