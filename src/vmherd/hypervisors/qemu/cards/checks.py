"""What a card cannot have where it turns out to be: its network says so only when the guest starts.

Source: qemuDomainValidateActualNetDef of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.host import bridging

_BRIDGED = (InterfaceType.NETWORK, InterfaceType.BRIDGE)
_FILTERED = (*_BRIDGED, InterfaceType.ETHERNET)


def check(interface: Interface) -> None:
    """Raise Unsupported for a card that knows its place and asks for what there is not."""
    for tag, text, hint in _problems(interface):
        raise Unsupported(text, place=f"interface/{tag}", hint=hint)


def _problems(interface: Interface) -> Iterator[tuple[str, str, str]]:
    """The element, what is wrong with it, and what to do."""
    kind, switched = str(interface.type), bridging.is_switched(interface)
    where = "at Open vSwitch" if switched else f"of type '{kind}'"
    if interface.filterref and (switched or interface.type not in _FILTERED):
        text = f"filterref is not supported for network interfaces {where}"
        yield "filterref", text, "remove it, or put the card in a bridge of the kernel's"
    if interface.port and interface.port.isolated and (switched or interface.type not in _BRIDGED):
        text = f"isolation of the port is not supported for network interfaces {where}"
        yield "port", text, "remove it, or put the card in a bridge of the kernel's"
    if interface.mtu and interface.type in (InterfaceType.DIRECT, InterfaceType.HOSTDEV):
        yield "mtu", f"the MTU of a card {where} cannot be set", "remove it; it is that of the card of the host"
    if interface.type is InterfaceType.DIRECT:
        yield from _on_a_card(interface)


def _on_a_card(interface: Interface) -> Iterator[tuple[str, str, str]]:
    if interface.vlan:
        text = "VLAN tags of macvtap devices are not set"
        yield "vlan", text, "use a bridge, Open vSwitch, or a VLAN device of the host below it"
    if interface.virtualport and interface.virtualport.type:
        text = f"nobody here talks {interface.virtualport.type} with the switch that the card is on"
        yield "virtualport/@type", text, "remove <virtualport>"
