"""Network devices of the host whose other end is a guest's card: tap devices, alone or in a bridge of the kernel's.

A tap device is gone once nobody holds a descriptor of it, so it ends with QEMU.  Source: tun(4),
Documentation/networking/tuntap.rst of Linux; virNetDevTapCreateInBridgePort and qemuInterfaceEthernetConnect of
libvirt.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from vmherd.conf.domain.net import Interface, InterfaceTarget, InterfaceType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.command.netdev import queues
from vmherd.hypervisors.qemu.command.nic import is_virtio
from vmherd.hypervisors.qemu.host import bridging, names
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
#: Take no device that is there: one of several queues would let a second card in beside the first.
_IFF_TUN_EXCL = 0x8000
#: A name and its zero byte (IFNAMSIZ), and what those begin with that we choose.
_NAME_SIZE = 15
_PREFIX = "vnet"
#: How many names that others have taken are passed over.
_TRIES = 1000
#: First byte of the host's end's address.  Higher than that of any card, so that a bridge, which has the lowest
#: address of its ports, does not change its own when guests come and go.
_TAP_MAC = "fe"


async def connect(interface: Interface, numbers: Path, *, up: bool = True) -> list[int]:
    """A tap device for the card: a descriptor for each of its queues; its name is noted in the document.

    One that has no name gets the next number of those that are counted in ``numbers``.  Packets pass once it is
    ``up``.  Raises HostError where we may not, or the bridge is not there.
    """
    name, fds = _open(interface, numbers)
    try:
        await with_links(lambda links: _configure(links, interface, name, up=up))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds


async def switch_on(interface: Interface) -> None:
    """Let packets pass through the tap device of a card."""

    async def work(links: AsyncIPRoute) -> None:
        await _switch_on(links, interface, await _index(links, interface))

    await with_links(work)


async def move(interface: Interface) -> None:
    """Plug the tap device of a card into the bridge that it names now.  Raises HostError if there is none."""

    async def work(links: AsyncIPRoute) -> None:
        await bridging.plug(links, interface, await _index(links, interface))

    await with_links(work)


async def _index(links: AsyncIPRoute, interface: Interface) -> int:
    assert interface.target is not None  # the card has its device
    found = await links.link_lookup(ifname=interface.target.dev)
    if not found:
        raise HostError(f"there is no network device {interface.target.dev!r} on this host")
    return int(found[0])


_RIGHTS = "root may; without rights there is <interface type='user'>"


def _open(interface: Interface, numbers: Path) -> tuple[str, list[int]]:
    """The device's name and its queues."""
    wanted = names.wanted(interface)
    if len(os.fsencode(wanted)) > _NAME_SIZE:
        raise HostError(f"{wanted!r} is too long for a network device", hint=f"at most {_NAME_SIZE} letters")
    if interface.target and interface.target.managed is False:
        _require(wanted)
        return wanted, _queues(interface, wanted)
    if wanted:
        return wanted, _queues(interface, wanted, new=(queues(interface) or 1) > 1)
    for _ in range(_TRIES):
        try:
            name = names.following(numbers, _PREFIX)
            return name, _queues(interface, name, new=True)
        except _Taken:
            continue  # whoever else makes such devices does not count with us
    raise HostError(f"{_TRIES} names in a row are taken", hint="choose one: <target dev=''/>")


class _Taken(HostError):
    """There is such a device."""


def _queues(interface: Interface, name: str, *, new: bool = False) -> list[int]:
    """Descriptors of a device, one for each queue; only of a ``new`` one."""
    count = queues(interface) or 1
    flags = _IFF_TAP | _IFF_NO_PI
    flags |= _IFF_VNET_HDR if is_virtio(interface) else 0
    flags |= _IFF_MULTI_QUEUE if count > 1 else 0
    path = interface.backend.tap if interface.backend and interface.backend.tap else "/dev/net/tun"
    fds: list[int] = []
    try:
        for number in range(count):
            fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            how = flags | (_IFF_TUN_EXCL if new and number == 0 else 0)
            fcntl.ioctl(fds[-1], _TUNSETIFF, struct.pack("16sH22x", os.fsencode(name), how))
    except OSError as problem:
        for fd in fds:
            os.close(fd)
        raise _refusal(problem, path, name) from None
    return fds


def _require(name: str) -> None:
    """A device that is somebody else's to manage is there before the guest."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        hint = f"ip tuntap add {name} mode tap, or leave managed='no' out"
        raise HostError(f"there is no network device {name!r} on this host", hint=hint) from None


def _refusal(problem: OSError, path: str, name: str) -> HostError:
    if problem.errno in (errno.EPERM, errno.EACCES):
        return HostError("making a network device takes rights that we do not have", hint=_RIGHTS)
    if problem.errno in (errno.EBUSY, errno.EINVAL):
        return _Taken(
            f"the network device {name} is in use, or of another kind", hint="choose another <target dev=''/>"
        )
    if problem.errno in (errno.ENOENT, errno.ENODEV):
        return HostError(f"there is no {path} on this host", hint="load the kernel's module: modprobe tun")
    return HostError(f"{path}: {problem.strerror}")


async def _configure(links: AsyncIPRoute, interface: Interface, name: str, *, up: bool) -> None:
    """Give the device its address and its place; one that is not ours to manage stays as it is."""
    interface.target = interface.target or InterfaceTarget()
    interface.target.dev = name
    if interface.target.managed is False:
        return
    index = await _index(links, interface)
    await links.link("set", index=index, address=_own_address(interface))
    if bridging.is_bridged(interface):
        await bridging.plug(links, interface, index)
    longest = interface.mtu.size if interface.mtu else 0
    if not longest and bridging.is_switched(interface):
        longest = await bridging.mtu(links, interface)
    if longest:
        await links.link("set", index=index, mtu=longest)
    if up:
        await _switch_on(links, interface, index)


async def _switch_on(links: AsyncIPRoute, interface: Interface, index: int) -> None:
    await links.link("set", index=index, state="up")
    if interface.type is InterfaceType.ETHERNET:
        await _addresses(links, interface, index)


def _own_address(interface: Interface) -> str:
    """That of the host's end."""
    assert interface.mac is not None  # completion gives one to each
    first, _, rest = interface.mac.address.partition(":")
    if first == _TAP_MAC:
        text = f"the address {interface.mac.address} begins with what the host's end has"
        raise HostError(text, hint="choose a MAC address that does not begin with 'fe'")
    return f"{_TAP_MAC}:{rest}"


async def _addresses(links: AsyncIPRoute, interface: Interface, index: int) -> None:
    """The host's own addresses at this end, and what it reaches through it."""
    source = interface.source
    for ip in source.ips if source else []:
        prefix = ip.prefix if ip.prefix is not None else (64 if ip.family == "ipv6" else 24)
        ends = {"address": ip.peer, "local": ip.address} if ip.peer else {"address": ip.address}
        await links.addr("add", index=index, prefixlen=prefix, **ends)
    for route in source.routes if source else []:
        default = 128 if route.family == "ipv6" else 32
        target = f"{route.address}/{route.prefix if route.prefix is not None else default}"
        metric = {"priority": route.metric} if route.metric is not None else {}
        await links.route("add", dst=target, gateway=route.gateway, oif=index, **metric)
