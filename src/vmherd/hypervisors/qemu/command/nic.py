"""The network card that the guest sees.

Source: qemuBuildNicDevProps of libvirt; the properties of virtio-net in QEMU.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import GuestOffloads, HostOffloads, Interface, InterfaceDriver, TeamingType
from vmherd.hypervisors.qemu.command import netdev
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, virtio, virtio_name

#: How a virtio card sends: from the main loop's "bottom half", or when a timer fires.
_TX_MODES = {"iothread": "bh", "timer": "timer"}
_HOST = {"csum": "csum", "gso": "gso", "tso4": "host_tso4", "tso6": "host_tso6", "ecn": "host_ecn", "ufo": "host_ufo"}
_GUEST = ("csum", "tso4", "tso6", "ecn", "ufo")


def arguments(domain: Domain, interface: Interface, bootindex: int | None) -> list[str]:
    """-device of a card whose host's end is there."""
    card = _virtio(interface) if is_virtio(interface) else {"driver": model(interface)}
    return device(
        {
            **card,
            "netdev": f"host{alias(interface)}",
            "id": alias(interface),
            "mac": interface.mac.address if interface.mac else None,
            "bootindex": bootindex,
            **bus(interface, domain),
        }
    )


def model(interface: Interface) -> str:
    return interface.model.type if interface.model else "virtio"


def is_virtio(interface: Interface) -> bool:
    return model(interface).startswith("virtio")


def _virtio(interface: Interface) -> Properties:
    options = interface.driver or InterfaceDriver()
    queues = netdev.queues(interface)
    return {
        "driver": virtio_name("virtio-net", model(interface), interface),
        **virtio(options),
        "tx": _TX_MODES.get(options.txmode or ""),
        "ioeventfd": options.ioeventfd,
        "event_idx": options.event_idx,
        **_offloads(options),
        "mq": True if queues else None,
        # Two for each pair of queues, one for the control queue, one for changes of the configuration.
        "vectors": 2 * queues + 2 if queues else None,
        "rx_queue_size": options.rx_queue_size or None,
        "tx_queue_size": options.tx_queue_size or None,
        "rss": options.rss,
        "hash": options.rss_hash_report,
        "host_mtu": interface.mtu.size if interface.mtu else None,
        "failover": True if interface.teaming and interface.teaming.type is TeamingType.PERSISTENT else None,
    }


def _offloads(options: InterfaceDriver) -> Properties:
    """Work that is left to the host's card, and to the guest's."""
    host, guest = options.host or HostOffloads(), options.guest or GuestOffloads()
    found: Properties = {theirs: getattr(host, ours) for ours, theirs in _HOST.items()}
    found["mrg_rxbuf"] = host.mrg_rxbuf
    return found | {f"guest_{name}": getattr(guest, name) for name in _GUEST}
