"""The cards of the host that a network shares out among guests: those that it names, or the virtual ones of a card.

Source: networkCreateInterfacePool of libvirt; Documentation/PCI/pci-iov-howto.rst of Linux
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from vmherd.conf.network import Network
from vmherd.conf.network.forward import AddressType, ForwardAddress, ForwardInterface, ForwardMode
from vmherd.conf.network.port import PlugAddress
from vmherd.errors import HostError

log = logging.getLogger("vmherd.network")

SYSFS = Path("/sys")


def pci_name(address: ForwardAddress | PlugAddress) -> str:
    """As the kernel writes it."""
    return f"{address.domain:04x}:{address.bus:02x}:{address.slot:02x}.{address.function}"


def cards(network: Network, sysfs: Path = SYSFS) -> list[str]:
    """Network devices, in order.  Raises HostError for a card without virtual functions."""
    forward = network.forward
    if forward is None:
        return []
    if forward.cards:
        return [each.dev for each in forward.cards]
    if forward.pf:
        named = [_device(sysfs / "bus/pci/devices" / each) for each in _virtual_functions(forward.pf.dev, sysfs)]
        return [each for each in named if each]
    return [forward.dev] if forward.dev else []


def functions(network: Network, sysfs: Path = SYSFS) -> list[ForwardAddress]:
    """PCI devices, in order.  Raises HostError for a card without virtual functions."""
    forward = network.forward
    if forward is None:
        return []
    if forward.addresses or not forward.pf:
        return forward.addresses
    return [_address(each) for each in _virtual_functions(forward.pf.dev, sysfs)]


def show(network: Network, sysfs: Path = SYSFS) -> None:
    """Put what is shared out into the document of a network that starts.  Raises HostError if there is nothing.

    Cards and bridges that are named may come later: a warning tells of those that this host does not have now.
    """
    forward = network.forward
    if forward and forward.pf:
        hostdev = forward.mode is ForwardMode.HOSTDEV
        found = functions(network, sysfs) if hostdev else [ForwardInterface(dev=name) for name in cards(network, sysfs)]
        forward.interfaces = [*found]
        return
    named = [each.dev for each in forward.cards] if forward else []
    if network.bridge and network.bridge.name:
        named.append(network.bridge.name)
    for name in named:
        if not (sysfs / "class/net" / name).exists():
            log.warning("network %r needs the device %s, which this host does not have now", network.name, name)


def _virtual_functions(card: str, sysfs: Path) -> list[str]:
    links = (sysfs / "class/net" / card / "device").glob("virtfn*")
    ordered = sorted(links, key=lambda link: int(link.name.removeprefix("virtfn")))
    if not ordered:
        hint = f"echo 4 > /sys/class/net/{card}/device/sriov_numvfs, where the card can do it"
        raise HostError(f"the card {card!r} has no virtual functions", hint=hint)
    return [link.readlink().name for link in ordered]


def _device(function: Path) -> str:
    """The network device of a PCI device; "" where the host's driver does not have it."""
    return next((each.name for each in (function / "net").glob("*")), "")


def _address(name: str) -> ForwardAddress:
    numbers = [int(each, 16) for each in re.split("[:.]", name)]
    domain, bus, slot, function = numbers
    return ForwardAddress(type=AddressType.PCI, domain=domain, bus=bus, slot=slot, function=function)
