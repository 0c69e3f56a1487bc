"""The bandwidth of a card: what comes in for the guest is what the device at the host's end sends, and the reverse.

A macvtap device is the guest's own end, so that there both are swapped.  Source: virNetDevBandwidthSet of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.net import Interface, InterfaceType, Rate
from vmherd.errors import HostError, OperationUnsupported
from vmherd.hypervisors.qemu.host import bridging, openvswitch
from vmherd.util import traffic

_SHAPED = (InterfaceType.BRIDGE, InterfaceType.ETHERNET, InterfaceType.NETWORK, InterfaceType.DIRECT)


def is_possible(interface: Interface) -> bool:
    """Whether there is a network device of ours at the host's end."""
    return interface.type in _SHAPED and bool(interface.target and interface.target.dev)


async def change(old: Interface, new: Interface) -> None:
    """Set the limits of a card anew; it keeps those it had where that fails.

    Raises OperationUnsupported for a card without a network device of ours, HostError.
    """
    if not is_possible(new):
        text = f"setting bandwidth on interfaces of type '{new.type}' is not implemented yet"
        raise OperationUnsupported(text, hint="cards of type 'network', 'bridge', 'direct' and 'ethernet' have it")
    try:
        await apply(new)
    except HostError:
        await apply(old)
        raise


async def apply(interface: Interface) -> None:
    """Set the limits that the card has in its document, and end all others.

    Raises HostError; the card has no limits then.
    """
    assert interface.target is not None  # `is_possible`
    device, told = interface.target.dev or "", interface.bandwidth
    inbound, outbound = (told.inbound, told.outbound) if told else (None, None)
    if bridging.is_switched(interface):
        await openvswitch.limit(device, sent=inbound, received=outbound)
        return
    if interface.type is InterfaceType.DIRECT:
        inbound, outbound = outbound, inbound
    await traffic.limit(device, sent=_rate(inbound), received=_rate(outbound))


def _rate(told: Rate | None) -> traffic.Rate | None:
    """What is promised only (``floor``) is a limit of its bridge, not of the card."""
    return traffic.of_kilobytes(told.average, told.peak, told.burst) if told and told.average else None
