"""macvtap devices: a guest's card directly on one of the host's, without a bridge.

Such a device stays when QEMU ends, until somebody removes it.  Source: virNetDevMacVLanCreateWithVPortProfile and
virNetDevMacVLanTapSetup of libvirt; drivers/net/macvlan.c and macvtap.c of Linux
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmherd.conf.domain.net import Interface, InterfaceTarget
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.command.netdev import queues
from vmherd.hypervisors.qemu.command.nic import is_virtio
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

PREFIX = "macvtap"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
#: Seconds until the device file is there, which udev may make.
_PATIENCE = 5.0
_HINT = "root may; without rights there is <interface type='user'>"


async def make(interface: Interface, name: str) -> None:
    """Make the device of a card, which is down.  Raises FileExistsError where the name is taken, HostError."""
    assert interface.mac is not None  # completion gives one to each
    below, mode = _lower(interface)
    mac = interface.mac.address

    async def work(links: AsyncIPRoute) -> bool:
        from pyroute2 import NetlinkError

        index = await _index(links, below)
        kind = {"kind": "macvtap", "link": index, "macvtap_mode": _KERNEL.get(mode, mode)}
        try:
            await links.link("add", ifname=name, address=mac, **kind)
        except NetlinkError as problem:
            if problem.code == errno.EEXIST:
                return False
            if problem.code in (errno.EBUSY, errno.EINVAL):
                hint = "a card in mode 'passthrough' has it alone, and no bridge can have it either"
                raise HostError(f"the card {below!r} is in use", hint=hint) from None
            raise
        return True

    if not await with_links(work, what=f"no device on {below!r} can be made"):
        raise FileExistsError(name)
    interface.target = interface.target or InterfaceTarget()
    interface.target.dev = name


#: What the kernel calls the modes.
_KERNEL = {"passthrough": "passthru"}


def _lower(interface: Interface) -> tuple[str, str]:
    """The card of the host, and how others on it are reached."""
    source = interface.source
    return (source.dev or "", source.mode or "vepa") if source else ("", "vepa")


async def _index(links: AsyncIPRoute, device: str) -> int:
    found = await links.link_lookup(ifname=device)
    if not found:
        raise HostError(f"there is no network device {device!r} on this host", hint="'ip link' lists them")
    return int(found[0])


async def lower_address(interface: Interface) -> str:
    """The address of the card of the host that takes on the guest's, in mode 'passthrough'; "" in all others."""
    below, mode = _lower(interface)
    return (await _address(below))[0] if mode == "passthrough" else ""


async def _address(device: str) -> tuple[str, int]:
    async def work(links: AsyncIPRoute) -> tuple[str, int]:
        index = await _index(links, device)
        (link,) = [each async for each in await links.get_links(index)]
        return str(link.get("address")), index

    return await with_links(work)


async def open_queues(interface: Interface, *, up: bool) -> list[int]:
    """The descriptors of a card's device; packets pass once it is ``up``.  Raises HostError."""
    assert interface.target is not None  # it was made
    assert interface.target.dev is not None
    _, index = await _address(interface.target.dev)
    path = Path(f"/dev/tap{index}")
    await _appear(path)
    fds = _open(path, interface)
    if up:
        try:
            await switch_on(interface)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
    return fds


async def _appear(path: Path) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240 - nobody tells
                await asyncio.sleep(0.02)
    except TimeoutError:
        hint = "is udev running, or /dev a devtmpfs?"
        raise HostError(f"the device file {path} did not appear", hint=hint) from None


def _open(path: Path, interface: Interface) -> list[int]:
    count = queues(interface) or 1
    flags = _IFF_TAP | _IFF_NO_PI
    flags |= _IFF_VNET_HDR if is_virtio(interface) else 0
    flags |= _IFF_MULTI_QUEUE if count > 1 else 0
    fds: list[int] = []
    try:
        for _ in range(count):
            fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
            fcntl.ioctl(fds[-1], _TUNSETIFF, struct.pack("16sH22x", b"", flags))
    except OSError as problem:
        for fd in fds:
            os.close(fd)
        raise HostError(f"{path}: {problem.strerror}", hint=_HINT) from None
    return fds


async def switch_on(interface: Interface) -> None:
    """Let packets pass."""
    assert interface.target is not None  # it was made
    device = interface.target.dev or ""

    async def work(links: AsyncIPRoute) -> None:
        await links.link("set", index=await _index(links, device), state="up")

    await with_links(work)


async def remove(name: str, mac: str) -> None:
    """Remove a guest's device, if it is that one: others may have the name by now.  Raises HostError."""

    async def work(links: AsyncIPRoute) -> None:
        for index in await links.link_lookup(ifname=name):
            (link,) = [each async for each in await links.get_links(index)]
            if link.get("address") == mac.lower() and _kind(link) == "macvtap":
                await links.link("del", index=index)

    await with_links(work)


def _kind(link: Any) -> str:
    info = link.get("linkinfo")
    return str(info.get("kind")) if info else ""


async def set_address(device: str, mac: str) -> None:
    """Give a card of the host another address.  Raises HostError."""

    async def work(links: AsyncIPRoute) -> None:
        await links.link("set", index=await _index(links, device), address=mac)

    await with_links(work, what=f"{device!r} cannot have the address {mac}")


def lower(interface: Interface) -> str:
    """The card of the host."""
    return _lower(interface)[0]
