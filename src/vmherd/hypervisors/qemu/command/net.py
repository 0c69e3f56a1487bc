"""Network cards: the host's end and the card the guest sees."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.conf.domain.os import BootDevice
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, option, virtio, virtio_name


def arguments(domain: Domain) -> list[str]:
    """Every network card with its backend."""
    boots = [boot.dev for boot in domain.os.boots]
    network_boot = boots.index(BootDevice.NETWORK) + 1 if BootDevice.NETWORK in boots else None
    args: list[str] = []
    for place, interface in enumerate(domain.devices.interfaces):
        index = interface.boot.order if interface.boot else network_boot if place == 0 else None
        args += option("-netdev", _backend(interface))
        args += device({**_card(domain, interface), "bootindex": index})
    return args


def _backend(interface: Interface) -> Properties:
    name = {"id": f"host{alias(interface)}"}
    source = interface.source
    match interface.type:
        case InterfaceType.USER:
            return {"type": "user", **_user_addresses(interface), **name}
        case InterfaceType.MCAST if source:
            return {"type": "socket", "mcast": f"{source.address}:{source.port}", **name}
        case InterfaceType.CLIENT if source:
            return {"type": "socket", "connect": f"{source.address}:{source.port}", **name}
        case InterfaceType.SERVER if source:
            return {"type": "socket", "listen": f"{source.address or ''}:{source.port}", **name}
        case InterfaceType.UDP if source and source.local:
            local = f"{source.local.address or ''}:{source.local.port}"
            return {"type": "socket", "udp": f"{source.address}:{source.port}", "localaddr": local, **name}
    raise Unsupported(
        f"network cards of type {str(interface.type)!r} are not supported yet",
        place="domain/devices/interface/@type",
        hint="use <interface type='user'>, which needs no rights and reaches the outside",
    )


def _user_addresses(interface: Interface) -> Properties:
    """The network that QEMU's own router makes up for the guest."""
    found: Properties = {}
    for ip in interface.ips:
        if ip.family == "ipv6":
            found |= {"ipv6-prefix": ip.address, "ipv6-prefixlen": ip.prefix}
        else:
            found["net"] = f"{ip.address}/{ip.prefix}" if ip.prefix else ip.address
    return found


#: How a virtio card sends: from the main loop's "bottom half", or when a timer fires.
_TX_MODES = {"iothread": "bh", "timer": "timer"}


def _card(domain: Domain, interface: Interface) -> Properties:
    model = interface.model.type if interface.model else "virtio"
    is_virtio = model.startswith("virtio")
    options = interface.driver if is_virtio else None
    queues = options.queues if options and options.queues and options.queues > 1 else None
    return {
        "driver": virtio_name("virtio-net", model, interface) if is_virtio else model,
        **virtio(options),
        "event_idx": options.event_idx if options else None,
        "tx": _TX_MODES.get(options.txmode or "") if options else None,
        "mq": True if queues else None,
        "vectors": 2 * queues + 2 if queues else None,
        "rx_queue_size": options.rx_queue_size if options else None,
        "tx_queue_size": options.tx_queue_size if options else None,
        "host_mtu": interface.mtu.size if interface.mtu and is_virtio else None,
        "netdev": f"host{alias(interface)}",
        "id": alias(interface),
        "mac": interface.mac.address if interface.mac else None,
        **bus(interface, domain),
    }
