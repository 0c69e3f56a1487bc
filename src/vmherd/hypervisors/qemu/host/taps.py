"""Network devices of the host whose other end is a guest's card: tap devices, alone or in a bridge.

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
from typing import TYPE_CHECKING, Any

from vmherd.conf.domain.net import Interface, InterfaceTarget, InterfaceType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.command.netdev import queues
from vmherd.hypervisors.qemu.command.nic import is_virtio
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
#: Take no device that is there: one of several queues would let a second card in beside the first.
_IFF_TUN_EXCL = 0x8000
#: A name and its zero byte (IFNAMSIZ), and what the kernel replaces by a number.
_NAME_SIZE = 15
_PATTERN = "vnet%d"
#: First byte of the host's end's address.  Higher than that of any card, so that a bridge, which has the lowest
#: address of its ports, does not change its own when guests come and go.
_TAP_MAC = "fe"


async def connect(interface: Interface) -> list[int]:
    """A tap device for the card: a descriptor for each of its queues; its name is noted in the document.

    Raises HostError where we may not, or the bridge is not there.
    """
    name, fds = _open(interface)
    try:
        await with_links(lambda links: _configure(links, interface, name))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds


async def move(interface: Interface) -> None:
    """Plug the tap device of a card into the bridge that it names now.  Raises HostError if there is none."""
    await with_links(lambda links: _replug(links, interface))


async def _replug(links: AsyncIPRoute, interface: Interface) -> None:
    assert interface.target is not None  # the card has its device
    (index,) = await links.link_lookup(ifname=interface.target.dev)
    await links.link("set", index=index, **await _port(links, interface))
    await links.brport("set", index=index, isolated=int(bool(interface.port and interface.port.isolated)))


_RIGHTS = "root may; without rights there is <interface type='user'>"


def _open(interface: Interface) -> tuple[str, list[int]]:
    """The device's name and its queues."""
    wanted = interface.target.dev if interface.target and interface.target.dev else _PATTERN
    if len(os.fsencode(wanted)) > _NAME_SIZE:
        raise HostError(f"{wanted!r} is too long for a network device", hint=f"at most {_NAME_SIZE} letters")
    if interface.target and interface.target.managed is False:
        _require(wanted)
    count = queues(interface) or 1
    flags = _IFF_TAP | _IFF_NO_PI
    flags |= _IFF_VNET_HDR if is_virtio(interface) else 0
    flags |= _IFF_MULTI_QUEUE if count > 1 else 0
    path = interface.backend.tap if interface.backend and interface.backend.tap else "/dev/net/tun"
    ours = count > 1 and not (interface.target and interface.target.managed is False)
    fds: list[int] = []
    try:
        for number in range(count):
            fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            how = flags | (_IFF_TUN_EXCL if ours and number == 0 else 0)
            told = fcntl.ioctl(fds[-1], _TUNSETIFF, struct.pack("16sH22x", os.fsencode(wanted), how))
            wanted = os.fsdecode(told[:16].rstrip(b"\0"))
    except OSError as problem:
        for fd in fds:
            os.close(fd)
        raise _refusal(problem, path, wanted) from None
    return wanted, fds


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
        return HostError(
            f"the network device {name} is in use, or of another kind", hint="choose another <target dev=''/>"
        )
    if problem.errno in (errno.ENOENT, errno.ENODEV):
        return HostError(f"there is no {path} on this host", hint="load the kernel's module: modprobe tun")
    return HostError(f"{path}: {problem.strerror}")


async def _configure(links: AsyncIPRoute, interface: Interface, name: str) -> None:
    """Give the device its address and its place; one that is not ours to manage stays as it is."""
    interface.target = interface.target or InterfaceTarget()
    interface.target.dev = name
    if interface.target.managed is False:
        return
    (index,) = await links.link_lookup(ifname=name)
    assert interface.mac is not None  # completion gives one to each
    first, _, rest = interface.mac.address.partition(":")
    if first == _TAP_MAC:
        text = f"the address {interface.mac.address} begins with what the host's end has"
        raise HostError(text, hint="choose a MAC address that does not begin with 'fe'")
    settings: dict[str, Any] = {"address": f"{_TAP_MAC}:{rest}"}
    if interface.type is InterfaceType.BRIDGE:
        settings |= await _port(links, interface)
    if interface.mtu:
        settings["mtu"] = interface.mtu.size
    await links.link("set", index=index, **settings)
    if interface.port and interface.port.isolated:
        await links.brport("set", index=index, isolated=1)
    await links.link("set", index=index, state="up")
    if interface.type is InterfaceType.ETHERNET:
        await _addresses(links, interface, index)


async def _port(links: AsyncIPRoute, interface: Interface) -> dict[str, Any]:
    """A bridge refuses packets that are longer than its own, so that a port's are as long."""
    bridge = interface.source.bridge if interface.source else None
    found = await links.link_lookup(ifname=bridge)
    if not found:
        raise HostError(f"there is no bridge {bridge!r} on this host", hint=f"ip link add {bridge} type bridge")
    (link,) = [each async for each in await links.get_links(found[0])]
    return {"mtu": link.get("mtu"), "master": found[0]}


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
