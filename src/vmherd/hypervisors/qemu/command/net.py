"""Network cards: for each its host's end (-netdev), then the card the guest sees (-device).

Source: qemuBuildInterfaceCommandLine of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.conf.domain.os import BootDevice
from vmherd.hypervisors.qemu.command import netdev, nic
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every network card with its host's end; those that are devices of the host come with the host devices."""
    args: list[str] = []
    for place, interface in enumerate(domain.devices.interfaces):
        if interface.type is InterfaceType.HOSTDEV:
            continue
        index = interface.boot.order if interface.boot else network_boot(domain) if place == 0 else None
        args += netdev.arguments(interface, launch, accelerated=_is_accelerated(domain, interface))
        args += nic.arguments(domain, interface, index)
    return args


def network_boot(domain: Domain) -> int | None:
    """The place of the network among what the guest boots from; only the first card has it."""
    boots = [boot.dev for boot in domain.os.boots]
    return boots.index(BootDevice.NETWORK) + 1 if BootDevice.NETWORK in boots else None


def _is_accelerated(domain: Domain, interface: Interface) -> bool:
    """Whether the kernel may move the packets of a card (vhost).  Source: qemuInterfaceOpenVhostNet"""
    emulated = interface.driver is not None and interface.driver.name == "qemu"
    return domain.type is DomainType.KVM and nic.is_virtio(interface) and not emulated
