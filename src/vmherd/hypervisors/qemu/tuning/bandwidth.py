"""The bandwidth of a card: the kernel shapes what its tap device sends and polices what it receives.

What comes in for the guest is what the tap sends.  Source: virNetDevBandwidthSet of libvirt; tc-htb(8), tc-police(8).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from vmherd.conf.domain.net import Interface, InterfaceType, Rate
from vmherd.errors import HostError, OperationUnsupported
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_SHAPED = (InterfaceType.BRIDGE, InterfaceType.ETHERNET)
#: Bytes, as tc reads "kbps", and "kb" in a burst.
_RATE, _KIB = 1000, 1024
_ROOT, _CLASS, _INGRESS = 0x10000, 0x10001, 0xFFFF0000
_ETH_P_ALL = 3
#: Largest packet that the policer lets through, as libvirt sets it.
_MTU = 64 * _KIB


def is_possible(interface: Interface) -> bool:
    """Whether there is a network device of ours at the host's end."""
    return interface.type in _SHAPED and bool(interface.target and interface.target.dev)


async def change(old: Interface, new: Interface) -> None:
    """Set the limits of a card anew; it keeps those it had where that fails.

    Raises OperationUnsupported for a card without a network device of ours, HostError.
    """
    if not is_possible(new):
        text = f"setting bandwidth on interfaces of type '{new.type}' is not implemented yet"
        raise OperationUnsupported(text, hint="cards of type 'bridge' and 'ethernet' have it")
    try:
        await apply(new)
    except HostError:
        await apply(old)
        raise


async def apply(interface: Interface) -> None:
    """Set the limits that the card has in its document, and end all others.

    Raises HostError; the card has no limits then.
    """
    await with_links(lambda links: _apply(links, interface))


async def _apply(links: AsyncIPRoute, interface: Interface) -> None:
    assert interface.target is not None  # `is_possible`
    told = interface.bandwidth
    found = await links.link_lookup(ifname=interface.target.dev)
    if not found:
        raise HostError(f"there is no network device {interface.target.dev!r} on this host")
    await _clear(links, found[0])
    try:
        if told and told.inbound:
            await _shape(links, found[0], told.inbound)
        if told and told.outbound:
            await _police(links, found[0], told.outbound)
    except BaseException:
        await _clear(links, found[0])
        raise


async def _clear(links: AsyncIPRoute, index: int) -> None:
    from pyroute2 import NetlinkError

    for place in ({"root": True}, {"kind": "ingress", "handle": _INGRESS, "parent": 0xFFFFFFF1}):
        with suppress(NetlinkError):  # there was none
            await links.tc("del", index=index, **place)


async def _shape(links: AsyncIPRoute, index: int, rate: Rate) -> None:
    """What exceeds the rate waits."""
    average = (rate.average or rate.floor or 0) * _RATE
    await links.tc("add", "htb", index, _ROOT, default=1)
    limits = {"rate": average, "ceil": max((rate.peak or 0) * _RATE, average)}
    if rate.burst:
        limits |= {"burst": rate.burst * _KIB}
    await links.tc("add-class", "htb", index, _CLASS, parent=_ROOT, **limits)


async def _police(links: AsyncIPRoute, index: int, rate: Rate) -> None:
    """What exceeds the rate is dropped."""
    from pyroute2 import NetlinkError

    average = (rate.average or 0) * _RATE
    await links.tc("add", "ingress", index, _INGRESS)
    try:
        await links.tc(
            "add-filter",
            "u32",
            index,
            parent=_INGRESS,
            protocol=_ETH_P_ALL,
            target=1,
            action="drop",
            rate=average,
            burst=(rate.burst or rate.average or 1) * _KIB,
            limit=_MTU,
            keys=["0x0/0x0+0"],
        )
    except NetlinkError as problem:
        text = f"the kernel does not limit what a guest sends: {problem.args[-1]}"
        raise HostError(text, hint="it needs 'u32' and 'police' (modprobe cls_u32 act_police)") from None
