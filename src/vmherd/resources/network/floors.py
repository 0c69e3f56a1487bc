"""The bandwidth of networks as a whole, and what of it is promised to single ports.

Source: networkCheckBandwidth and networkPlugBandwidth of libvirt's bridge driver; virNetDevBandwidthPlug.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmherd.conf.network import Network, NetworkPort
from vmherd.conf.network.shared import NetworkRate
from vmherd.errors import InvalidState, OperationUnsupported
from vmherd.util import traffic
from vmherd.util.traffic import Rate

#: The numbers below are those of the network as a whole.
_FIRST, _LAST = 3, 0xFFFF


async def shape(network: Network) -> None:
    """Limit what goes through the bridge of a network that starts; nothing to do for one without limits.

    Raises HostError.
    """
    told, bridge = network.bandwidth, _bridge(network)
    if told and bridge:
        sent, received = _rate(told.inbound), _rate(told.outbound)
        await traffic.limit(bridge, sent=sent, received=received)
        if sent:
            await traffic.share(bridge, sent)


async def unshape(network: Network) -> None:
    """End the limits of a network whose bridge goes."""
    if network.bandwidth and (bridge := _bridge(network)):
        await traffic.forget(bridge)


def _bridge(network: Network) -> str:
    return network.bridge.name if network.bridge and network.bridge.name else ""


def _rate(told: NetworkRate | None) -> Rate | None:
    return traffic.of_kilobytes(told.average, told.peak, told.burst) if told else None


def floor(port: NetworkPort) -> int:
    """What a port is promised of what comes in for it, in KiB/s; 0: nothing."""
    told = port.bandwidth
    return told.inbound.floor or 0 if told and told.inbound else 0


def promise(network: Network, port: NetworkPort, others: Mapping[int, int]) -> int:
    """The number of the traffic of a port with a floor; ``others`` are the floors of the others by theirs.

    Raises OperationUnsupported in a network that does not limit what comes in, InvalidState where it has too little.
    """
    told = network.bandwidth.inbound if network.bandwidth else None
    if told is None:
        text = f"Invalid use of 'floor' on interface with MAC address {port.mac.address}"
        hint = "give the network <bandwidth><inbound average=''/></bandwidth>"
        raise OperationUnsupported(f"{text} - network '{network.name}' has no inbound QoS set", hint=hint)
    what, most = ("peak", told.peak) if told.peak else ("average", told.average or 0)
    if sum(others.values()) + floor(port) > most:
        text = f"Cannot plug '{port.mac.address}' interface into '{_bridge(network)}' because it would"
        hint = f"all floors together are at most {most}"
        raise InvalidState(f"{text} overcommit '{what}' on network '{network.name}'", hint=hint)
    return next(number for number in range(_FIRST, _LAST) if number not in others)


async def reserve(network: Network, mac: str, number: int, wanted: int, promised: int) -> None:
    """Keep the promise; ``promised`` is that of all ports together, in KiB/s.  Raises HostError."""
    sent = _sent(network)
    wanted = traffic.of_kilobytes(wanted).average
    await traffic.reserve(_bridge(network), mac, number, wanted, sent, _rest(sent, promised))


async def release(network: Network, mac: str, number: int, promised: int) -> None:
    """Take a promise back."""
    sent = _sent(network)
    await traffic.release(_bridge(network), mac, number, sent, _rest(sent, promised))


def _sent(network: Network) -> Rate:
    sent = _rate(network.bandwidth.inbound) if network.bandwidth else None
    return sent or Rate(average=1)  # the limits were taken away meanwhile


def _rest(sent: Rate, promised: int) -> int:
    """What is left for those without a floor."""
    return sent.ceiling - traffic.of_kilobytes(promised).average
