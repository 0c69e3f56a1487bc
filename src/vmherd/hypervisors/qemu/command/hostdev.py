"""Devices of the host, handed to the guest: USB, PCI, SCSI, mediated ones, and SCSI targets of the kernel.

Source: qemuBuildHostdevCommandLine of libvirt.
"""

from __future__ import annotations

from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress, UnassignedAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.hostdev import (
    GuestReset,
    Hostdev,
    HostdevType,
    MdevSource,
    PciSource,
    ScsiHostSource,
    ScsiSource,
    UsbSource,
)
from vmherd.conf.domain.net import InterfaceType, TeamingType
from vmherd.conf.domain.storage import DiskSource, NetProtocol
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import hostdevs
from vmherd.hypervisors.qemu.command import blockdev, net, protocols
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, host_pci, option, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch

#: What (guest-reset, guest-resets-all) of QEMU's usb-host are for each word: a reset may be let through never, only
#: while the device is not in use yet, or always.
_RESETS = {
    GuestReset.OFF: (False, False),
    GuestReset.UNINITIALIZED: (True, False),
    GuestReset.ON: (True, True),
}


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every host device, those of network cards first."""
    args: list[str] = []
    booting = _boots_from_network(domain)
    nodes = count(blockdev.plan(domain, launch).next_node)
    for hostdev in hostdevs.of(domain):
        if isinstance(hostdev.address, UnassignedAddress):
            continue  # kept from the host and from the guest
        index = hostdev.boot.order if hostdev.boot else None
        if index is None and booting and hostdev.type is not HostdevType.USB:
            index, booting = booting, None
        if isinstance(hostdev.source, ScsiSource):
            args += _scsi(domain, hostdev, f"libvirt-{next(nodes)}-backend", index, launch)
        else:
            args += device({**_properties(hostdev, launch), "bootindex": index, **bus(hostdev, domain)})
    return args


def _boots_from_network(domain: Domain) -> int | None:
    """The boot index for the first host device, where the first network card is one."""
    interfaces = domain.devices.interfaces
    return net.network_boot(domain) if interfaces and interfaces[0].type is InterfaceType.HOSTDEV else None


def _properties(hostdev: Hostdev, launch: Launch) -> Properties:
    match hostdev.source:
        case UsbSource() as source:
            return _usb(hostdev, source)
        case PciSource() as source:
            return _pci(hostdev, source)
        case MdevSource() as source:
            return _mediated(hostdev, source)
        case ScsiHostSource() as source:
            fd = str(launch.host.vhost_scsi())
            name = virtio_name("vhost-scsi", hostdev.model, hostdev)
            return {"driver": name, "wwpn": source.wwpn, "vhostfd": fd, "id": alias(hostdev)}
    raise Unsupported(
        f"QEMU guests cannot be handed a {hostdev.type} device", place="domain/devices/hostdev", hint="remove it"
    )


def _usb(hostdev: Hostdev, source: UsbSource) -> Properties:
    """A device that is not there may come later."""
    place = source.address
    if place is None and not source.missing:
        raise Unsupported(
            "nobody looked for the USB device on this host", place="domain/devices/hostdev/source", hint="add <address>"
        )
    reset, always = _RESETS[source.guest_reset] if source.guest_reset else (None, None)
    return {
        "driver": "usb-host",
        "hostdevice": f"/dev/bus/usb/{place.bus:03d}/{place.device:03d}" if place else None,
        "id": alias(hostdev),
        "guest-reset": reset,
        "guest-resets-all": always,
    }


def _pci(hostdev: Hostdev, source: PciSource) -> Properties:
    teaming = hostdev.teaming
    paired = teaming.persistent if teaming and teaming.type is TeamingType.TRANSIENT else None
    host = host_pci(source.address)
    return {"driver": "vfio-pci", "host": host, "id": alias(hostdev), "failover_pair_id": paired}


def _mediated(hostdev: Hostdev, source: MdevSource) -> Properties:
    display = None if hostdev.display is None else "on" if hostdev.display else "off"
    return {
        # What shows the guest's first screen can't be unplugged.
        "driver": "vfio-pci-nohotplug" if hostdev.ramfb else str(hostdev.model),
        "id": alias(hostdev),
        "sysfsdev": f"/sys/bus/mdev/devices/{source.address.uuid}",
        "display": display,
        "ramfb": True if hostdev.ramfb else None,
    }


def _scsi(domain: Domain, hostdev: Hostdev, node: str, bootindex: int | None, launch: Launch) -> list[str]:
    source = hostdev.source
    assert isinstance(source, ScsiSource)
    if source.protocol == "iscsi":
        args, storage = _iscsi(source, node, launch)
    else:
        args, storage = [], {"driver": "host_device", "filename": launch.host.scsi_generic(source)}
    end: Properties = {
        "driver": "scsi-generic",
        "drive": node,
        "id": alias(hostdev),
        "bootindex": bootindex,
        "share-rw": True if hostdev.shareable else None,
    }
    args += option("-blockdev", {**storage, "node-name": node, "read-only": hostdev.readonly})
    return args + device({**end, **_scsi_place(domain, hostdev)})


def _iscsi(source: ScsiSource, node: str, launch: Launch) -> tuple[list[str], Properties]:
    """The secret of the server's user, and the device on the server."""
    found = DiskSource(protocol=NetProtocol.ISCSI, name=source.name, hosts=source.hosts, initiator=source.initiator)
    if source.auth is None or source.auth.secret is None:
        return [], protocols.properties(found, protocols.Objects(), launch)
    name = f"{node}-secret0"
    objects = protocols.Objects(user=source.auth.username, password=name)
    return launch.vault.looked_up(name, source.auth.secret), protocols.properties(found, objects, launch)


def _scsi_place(domain: Domain, hostdev: Hostdev) -> Properties:
    address = hostdev.address
    assert isinstance(address, DriveAddress)  # completion gives one to each
    controllers = (each for each in domain.devices.controllers if each.type is ControllerType.SCSI)
    controller = next(each for each in controllers if each.index == address.controller)
    if controller.model == "lsilogic":  # it has neither channels nor logical units
        return {"bus": f"{alias(controller)}.{address.bus}", "scsi-id": address.unit}
    place: Properties = {"channel": address.bus, "scsi-id": address.target, "lun": address.unit}
    return {"bus": f"{alias(controller)}.0", **place}
