"""Controllers: USB, PCI, SCSI, SATA, virtio-serial."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.controller import Controller, ControllerTarget, ControllerType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.address.bridges import BUSES
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, virtio, virtio_name

#: libvirt's order: bridges before what sits behind them.
_ORDER = (
    ControllerType.PCI,
    ControllerType.USB,
    ControllerType.SCSI,
    ControllerType.SATA,
    ControllerType.VIRTIO_SERIAL,
)

_USB = {
    "piix3-uhci": "piix3-usb-uhci",
    "piix4-uhci": "piix4-usb-uhci",
    "ehci": "usb-ehci",
    "ich9-ehci1": "ich9-usb-ehci1",
    "ich9-uhci1": "ich9-usb-uhci1",
    "ich9-uhci2": "ich9-usb-uhci2",
    "ich9-uhci3": "ich9-usb-uhci3",
    "pci-ohci": "pci-ohci",
    "nec-xhci": "nec-usb-xhci",
    "qemu-xhci": "qemu-xhci",
}
_SCSI = {
    "lsilogic": "lsi",
    "lsisas1068": "mptsas1068",
    "lsisas1078": "megasas",
    "vmpvscsi": "pvscsi",
    "am53c974": "am53c974",
    "dc390": "dc-390",
    "ibmvscsi": "spapr-vscsi",
}


def arguments(domain: Domain) -> list[str]:
    """Every controller that the machine does not have by itself, but for those that sit behind hubs."""
    args: list[str] = []
    for kind in _ORDER:
        of_kind = [each for each in domain.devices.controllers if each.type is kind]
        for controller in _by_bus(of_kind) if kind is ControllerType.PCI else of_kind:
            if not _is_built_in(domain, controller):
                args += device(_properties(domain, controller))
    return args


def plugged(domain: Domain, controller: Controller) -> list[str]:
    """One controller that comes when the guest runs."""
    return device(_properties(domain, controller))


def on_usb(domain: Domain) -> list[str]:
    """The hubs, and the controllers that are USB devices themselves."""
    args: list[str] = []
    for hub in domain.devices.hubs:
        args += device({"driver": "usb-hub", "id": alias(hub), **bus(hub, domain)})
    for each in domain.devices.controllers:
        if each.type is ControllerType.CCID:
            args += device({"driver": "usb-ccid", "id": alias(each), **bus(each, domain)})
    return args


def _by_bus(controllers: list[Controller]) -> Iterator[Controller]:
    """In their order, but none before the one whose bus it sits on."""
    waiting, there = list(controllers), {0}
    while waiting:
        ready = (each for each in waiting if not isinstance(each.address, PciAddress) or each.address.bus in there)
        found = next(ready, waiting[0])
        waiting.remove(found)
        there.add(found.index or 0)
        yield found


def _is_built_in(domain: Domain, controller: Controller) -> bool:
    if controller.type is ControllerType.PCI:
        return controller.model == "pcie-root" or (controller.model == "pci-root" and controller.index == 0)
    if controller.type is ControllerType.SATA:
        return machine.is_q35(domain) and controller.index == 0
    return controller.type is ControllerType.USB and controller.model == "none"


def _properties(domain: Domain, controller: Controller) -> Properties:
    match controller.type:
        case ControllerType.PCI:
            return _pci(domain, controller)
        case ControllerType.USB:
            driver = _USB.get(controller.model or "")
            if driver is None:
                raise _unknown(controller)
            return {"driver": driver, **_usb_ports(controller), **bus(controller, domain)}
        case ControllerType.SCSI:
            return _scsi(domain, controller)
        case ControllerType.SATA:
            return {"driver": "ahci", "id": alias(controller), **bus(controller, domain)}
    ports: Properties = {"max_ports": controller.ports, "vectors": controller.vectors}
    name = virtio_name("virtio-serial", controller.model, controller)
    return {"driver": name, **virtio(controller.driver), "id": alias(controller), **ports, **bus(controller, domain)}


def _usb_ports(controller: Controller) -> Properties:
    """A companion is known by the ports of its master that it serves."""
    if controller.master:
        return {"masterbus": f"{alias(controller)}.0", "firstport": controller.master.startport}
    xhci = controller.model in ("nec-xhci", "qemu-xhci")
    ports: Properties = {"p2": controller.ports, "p3": controller.ports} if xhci else {}
    return {**ports, "id": alias(controller)}


def _scsi(domain: Domain, controller: Controller) -> Properties:
    model = controller.model or ""
    if model in _SCSI:
        return {"driver": _SCSI[model], "id": alias(controller), **bus(controller, domain)}
    if not model.startswith("virtio"):
        raise _unknown(controller)
    driver = controller.driver
    tuning: Properties = {}
    if driver:
        tuning = {
            "iothread": None if driver.iothread is None else f"iothread{driver.iothread}",
            "ioeventfd": driver.ioeventfd,
        }
    name = virtio_name("virtio-scsi", controller.model, controller)
    counts: Properties = {}
    if driver:
        counts = {
            "num_queues": driver.queues,
            "cmd_per_lun": driver.cmd_per_lun,
            "max_sectors": driver.max_sectors,
        }
    place = bus(controller, domain)
    return {"driver": name, **virtio(driver), **tuning, "id": alias(controller), **counts, **place}


def _pci(domain: Domain, controller: Controller) -> Properties:
    """What leads to another bus, or to several; which settings a model has, validation saw to."""
    target = controller.target or ControllerTarget()
    if controller.pci_model is None or controller.model not in (*BUSES, "pci-root"):
        raise _unknown(controller)
    return {
        "driver": controller.pci_model.name,
        "port": target.port,
        "chassis": target.chassis,
        "chassis_nr": target.chassis_nr,
        "bus_nr": target.bus_nr,
        "index": target.index,
        "id": alias(controller),
        "numa_node": target.node,
        "hotplug": target.hotplug,
        **bus(controller, domain),
    }


def _unknown(controller: Controller) -> Unsupported:
    return Unsupported(
        f"QEMU guests cannot have a {controller.type} controller of model {controller.model!r} yet",
        place="domain/devices/controller/@model",
    )
