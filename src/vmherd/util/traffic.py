"""How fast network devices are: what one sends waits in the kernel's queue, what it receives too fast is dropped.

Rates are bytes per second.  A bridge can share what it sends among its ports, some of which have a floor.
Where the kernel cannot police (``act_police``), netfilter drops in its place.

Source: tc-htb(8), tc-u32(8), tc-police(8); nft(8), families netdev and bridge; virNetDevBandwidthSet of libvirt.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.errors import HostError
from vmherd.util.command import run
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_ROOT, _ALL, _REST, _INGRESS = 0x10000, 0x10001, 0x10002, 0xFFFF0000
_ETH_P_ALL = 3
#: Largest packet that the policer lets through, as libvirt sets it.
_MTU = 64 << 10
#: Chains and maps of all devices whose limits netfilter keeps.
TABLE = "netdev vmherd_rates"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """``peak`` is what a device may reach while nobody else needs it, ``burst`` bytes that go at once; 0: none."""

    average: int
    peak: int = 0
    burst: int = 0

    @property
    def ceiling(self) -> int:
        return max(self.peak, self.average)


def of_kilobytes(average: int | None, peak: int | None = None, burst: int | None = None) -> Rate:
    """A rate as libvirt writes and tc reads it: in thousands of bytes per second, a burst in KiB."""
    return Rate(average=(average or 0) * 1000, peak=(peak or 0) * 1000, burst=(burst or 0) << 10)


async def limit(device: str, *, sent: Rate | None = None, received: Rate | None = None) -> None:
    """Set the limits of a device, and end all that it had before.

    Raises HostError where there is no such device, or the kernel cannot do it; the device has no limits then.
    """
    await _unpolice(device)
    try:
        if not await with_links(lambda links: _limit(links, device, sent, received)):
            assert received is not None  # nothing else can be left to do
            await _drop_above(device, received)
    except BaseException:
        await with_links(lambda links: _clear(links, device))
        raise


async def forget(device: str) -> None:
    """End what is kept of the limits of a device that is gone; all the rest went with it."""
    await _unpolice(device)
    await _nft(f"delete chain {TABLE} {_name('out', device)}; delete map {TABLE} {_name('map', device)}", may_miss=True)


async def _limit(links: AsyncIPRoute, device: str, sent: Rate | None, received: Rate | None) -> bool:
    """Whether all of it is done; the kernel may not know how to police."""
    index = await _index(links, device)
    await _clear(links, device)
    if sent:
        await links.tc("add", "htb", index, _ROOT, default=1)
        await links.tc("add-class", "htb", index, _ALL, parent=_ROOT, **_htb(sent))
    return received is None or await _police(links, index, received)


async def _index(links: AsyncIPRoute, device: str) -> int:
    found = await links.link_lookup(ifname=device)
    if not found:
        raise HostError(f"there is no network device {device!r} on this host")
    return int(found[0])


def _htb(rate: Rate) -> dict[str, Any]:
    limits: dict[str, Any] = {"rate": rate.average, "ceil": rate.ceiling}
    return limits | ({"burst": rate.burst} if rate.burst else {})


async def _clear(links: AsyncIPRoute, device: str) -> None:
    from pyroute2 import NetlinkError

    for index in await links.link_lookup(ifname=device):
        for place in ({"root": True}, {"kind": "ingress", "handle": _INGRESS, "parent": 0xFFFFFFF1}):
            with suppress(NetlinkError):  # there was none
                await links.tc("del", index=index, **place)


async def _police(links: AsyncIPRoute, index: int, rate: Rate) -> bool:
    """Whether the kernel knows how to: what exceeds the rate is dropped."""
    from pyroute2 import NetlinkError

    try:
        await links.tc("add", "ingress", index, _INGRESS)
        await links.tc(
            "add-filter",
            "u32",
            index,
            parent=_INGRESS,
            protocol=_ETH_P_ALL,
            target=1,
            action="drop",
            rate=rate.average,
            burst=_burst(rate),
            limit=_MTU,
            keys=["0x0/0x0+0"],
        )
    except NetlinkError:
        with suppress(NetlinkError):
            await links.tc("del", index=index, kind="ingress", handle=_INGRESS, parent=0xFFFFFFF1)
        return False
    return True


def _burst(rate: Rate) -> int:
    """As many bytes at once as go in a second, unless it is told."""
    return rate.burst or rate.average


# What netfilter does


def _name(what: str, device: str) -> str:
    """A chain's or map's name; those of devices have more letters than nft knows."""
    return f"{what}_{device.encode().hex()}"


async def _nft(commands: str, *, may_miss: bool = False) -> None:
    """All of the commands, or none."""
    try:
        await run(["nft", commands], package="nftables")
    except HostError:
        if not may_miss:
            raise


async def _drop_above(device: str, rate: Rate) -> None:
    chain = _name("in", device)
    hook = f'type filter hook ingress device "{device}" priority 0;'
    over = f"limit rate over {rate.average} bytes/second burst {_burst(rate)} bytes"
    await _nft(f"add table {TABLE}; add chain {TABLE} {chain} {{ {hook} }}; add rule {TABLE} {chain} {over} drop")


async def _unpolice(device: str) -> None:
    await _nft(f"delete chain {TABLE} {_name('in', device)}", may_miss=True)


# Bridges, which share what they send


async def share(bridge: str, sent: Rate) -> None:
    """Let ports of a bridge have floors in what it sends; call it after ``limit``, which it goes beyond.

    Raises HostError.
    """

    async def work(links: AsyncIPRoute) -> None:
        index = await _index(links, bridge)
        await links.tc("del", index=index, root=True)
        await links.tc("add", "htb", index, _ROOT, default=2)
        await links.tc("add-class", "htb", index, _ALL, parent=_ROOT, **_htb(sent))
        await links.tc("add-class", "htb", index, _REST, parent=_ALL, **_htb(sent))

    await with_links(work)
    chain, known = _name("out", bridge), _name("map", bridge)
    hook = f'type filter hook egress device "{bridge}" priority 0;'
    await _nft(
        f"add table {TABLE}; add map {TABLE} {known} {{ type ether_addr : classid; }};"
        f" add chain {TABLE} {chain} {{ {hook} }}; flush chain {TABLE} {chain};"
        f" add rule {TABLE} {chain} meta priority set ether daddr map @{known}"
    )


async def reserve(bridge: str, mac: str, number: int, floor: int, sent: Rate, rest: int) -> None:
    """Keep ``floor`` of what a bridge sends for the card with this address, ``rest`` for all without a floor.

    ``number`` is from 3 on, and no other card's.  Raises HostError.
    """

    async def work(links: AsyncIPRoute) -> None:
        index = await _index(links, bridge)
        own = {"rate": floor, "ceil": sent.ceiling}
        await links.tc("replace-class", "htb", index, _ROOT + number, parent=_ALL, **own)
        await _leave(links, index, sent, rest)

    await with_links(work)
    known = _name("map", bridge)
    await _nft(f"add element {TABLE} {known} {{ {mac} : 1:{number:x} }}")


async def release(bridge: str, mac: str, number: int, sent: Rate, rest: int) -> None:
    """Take back what ``reserve`` did; what is gone already is no error."""
    from pyroute2 import NetlinkError

    await _nft(f"delete element {TABLE} {_name('map', bridge)} {{ {mac} : 1:{number:x} }}", may_miss=True)

    async def work(links: AsyncIPRoute) -> None:
        for index in await links.link_lookup(ifname=bridge):
            with suppress(NetlinkError):
                await links.tc("del-class", index=index, handle=_ROOT + number, parent=_ALL)
            await _leave(links, index, sent, rest)

    await with_links(work)


async def _leave(links: AsyncIPRoute, index: int, sent: Rate, rest: int) -> None:
    own = {"rate": max(rest, 1), "ceil": sent.ceiling}
    await links.tc("change-class", "htb", index, _REST, parent=_ALL, **own)
