"""Channels and consoles: where the guest finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain.address import VirtioSerialAddress
from vmherd.conf.domain.chardev import Channel, ChannelTargetType, ChardevType, ConsoleTargetType, SocketMode
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.redirdev import Redirdev
from vmherd.conf.domain.streams import Stream


def forwards(domain: Domain) -> Iterator[Problem]:
    """A forwarded connection has an address and a port in the guest's network."""
    for number, each in numbered(domain.devices.channels):
        if each.target.type is not ChannelTargetType.GUESTFWD:
            continue
        place = f"domain/devices/channel[{number}]/target"
        if not each.target.address:
            yield Problem(f"{place}/@address", "the address the guest connects to is missing", "add address='10.0.2.1'")
        if not each.target.port:
            yield Problem(f"{place}/@port", "the port the guest connects to is missing", "add port='4600'")


def consoles(domain: Domain) -> Iterator[Problem]:
    """Only the first console can mirror the first serial port."""
    for number, each in numbered(domain.devices.consoles):
        kind = each.target.type if each.target else None
        if number > 1 and kind in (None, ConsoleTargetType.SERIAL):
            place = f"domain/devices/console[{number}]/target/@type"
            yield Problem(place, "only the first console can be a serial port", "use type='virtio', or <serial>")


def ports(domain: Domain) -> Iterator[Problem]:
    """A port of a virtio controller carries one stream."""
    taken = []
    for tag, group in (("channel", domain.devices.channels), ("console", domain.devices.consoles)):
        for number, each in enumerate(group, start=1):
            address = each.address
            if isinstance(address, VirtioSerialAddress) and address.port is not None:
                key = (address.controller, address.bus, address.port)
                taken.append((f"domain/devices/{tag}[{number}]/address", key))
    yield from duplicates(taken, "virtio-serial port {} is taken", show=lambda key: f"{key[0]}.{key[1]}.{key[2]}")


def addresses(domain: Domain) -> Iterator[Problem]:
    """A virtio channel sits on a virtio-serial controller."""
    for number, each in numbered(domain.devices.channels):
        if _on_virtio(each) and each.address and not isinstance(each.address, VirtioSerialAddress):
            place = f"domain/devices/channel[{number}]/address/@type"
            yield Problem(place, "a virtio channel sits on a virtio-serial controller", "use type='virtio-serial'")


def _on_virtio(channel: Channel) -> bool:
    return channel.target.type is ChannelTargetType.VIRTIO


#: Characters of the name of a channel (virDomainChrSourceDefValidate of libvirt).
_CHANNEL = re.compile(r"[A-Za-z0-9._-]+")
_FILES = (ChardevType.FILE, ChardevType.DEV, ChardevType.PIPE)


def lacking(stream: Stream, place: str) -> Iterator[Problem]:
    """Paths, ports and names without which there is no host end; a driver makes up a path for some channels only.

    Source: virDomainChrSourceDefValidate of libvirt
    """
    sources = stream.sources
    generated = isinstance(stream, Channel) and stream.target.type is not ChannelTargetType.GUESTFWD
    wants_path = stream.type in _FILES or (stream.type is ChardevType.UNIX and not generated)
    if wants_path and not any(each.path for each in sources):
        yield Problem(f"{place}/source", f"type {str(stream.type)!r} needs a path", "add <source path='/...'/>")
    if stream.type is ChardevType.NMDM and not any(each.master and each.slave for each in sources):
        yield Problem(f"{place}/source", "a null modem has two ends", "add <source master='' slave=''/>")
    if stream.type is ChardevType.UDP and not any(each.mode is SocketMode.CONNECT for each in sources):
        yield Problem(f"{place}/source", "where to send to is missing", "add <source mode='connect' service='PORT'/>")
    named = stream.type is ChardevType.SPICEPORT or (
        stream.type is ChardevType.DBUS and not isinstance(stream, Redirdev)
    )
    channel = sources[0].channel if sources else None
    if named and not channel:
        yield Problem(f"{place}/source", f"type {str(stream.type)!r} needs a channel", "add <source channel=''/>")
    elif stream.type is ChardevType.SPICEPORT and not _CHANNEL.fullmatch(channel or ""):
        text = f"{channel!r} is no name of a channel"
        yield Problem(f"{place}/source/@channel", text, "use letters, digits, '.', '-' and '_'")


RULES = (forwards, consoles, ports, addresses)
