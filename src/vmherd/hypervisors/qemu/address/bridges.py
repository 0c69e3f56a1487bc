"""What PCI controllers tell the guest of themselves: the device that implements each, its chassis, port and bus.

Source: qemuDomainPCIControllerSetDefaultModelName and qemuDomainAssignPCIAddresses of libvirt.
"""

from __future__ import annotations

from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.controller import Controller, ControllerTarget, ControllerType, PciModel
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities

#: The device that implements each model but root ports.
DEVICES = {
    "pci-bridge": "pci-bridge",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
    "pci-expander-bus": "pxb",
    "pcie-expander-bus": "pxb-pcie",
}
#: The device of a first bus on IBM's POWER.
HOST_BRIDGE = "spapr-pci-host-bridge"
BUSES = frozenset({*DEVICES, "pcie-root-port"})
ROOT_PORTS = ("pcie-root-port", "ioh3420")
#: An expander takes bus numbers from the end; one stays free for what sits behind each.
_LAST_BUS = 256


def describe(domain: Domain, caps: Capabilities) -> None:
    """Complete the PCI controllers, which have addresses by now, in place."""
    for controller in domain.devices.controllers:
        if controller.type is ControllerType.PCI and controller.model == "pci-root" and machine.is_pseries(domain):
            _describe_host_bridge(domain, controller)
        elif controller.type is ControllerType.PCI and controller.model not in (None, "pci-root", "pcie-root"):
            _describe(domain, controller, caps)


def _describe_host_bridge(domain: Domain, controller: Controller) -> None:
    """IBM's POWER has several first buses, each behind a host bridge with an index of its own."""
    controller.pci_model = controller.pci_model or PciModel(name=HOST_BRIDGE)
    controller.target = controller.target or ControllerTarget()
    if controller.target.index is None:
        targets = [each.target for each in domain.devices.controllers if each.type is ControllerType.PCI]
        taken = {each.index for each in targets if each} | ({0} if controller.index else set())
        controller.target.index = next(number for number in count() if number not in taken)


def _describe(domain: Domain, controller: Controller, caps: Capabilities) -> None:
    model = controller.model or ""
    root_port = "pcie-root-port" if "pcie-root-port" in caps else "ioh3420"
    if controller.pci_model is None and (name := DEVICES.get(model, root_port if model == "pcie-root-port" else "")):
        controller.pci_model = PciModel(name=name)
    target = controller.target or ControllerTarget()
    match model:
        case "pci-bridge":
            target.chassis_nr = controller.index if target.chassis_nr is None else target.chassis_nr
        case "pcie-root-port" | "pcie-switch-downstream-port":
            target.chassis = controller.index if target.chassis is None else target.chassis
            if target.port is None and isinstance(address := controller.address, PciAddress):
                slot, function = address.slot or 0, address.function or 0
                target.port = (slot << 3) + function if model == "pcie-root-port" else slot
        case "pci-expander-bus" | "pcie-expander-bus":
            target.bus_nr = _free_bus(domain, controller) if target.bus_nr is None else target.bus_nr
        case _:
            return
    controller.target = target


def _free_bus(domain: Domain, expander: Controller) -> int:
    """Source: qemuDomainAddressFindNewBusNr"""
    targets = [each.target for each in domain.devices.controllers if each.type is ControllerType.PCI]
    number = min((each.bus_nr for each in targets if each and each.bus_nr is not None), default=_LAST_BUS) - 2
    if number <= 0:
        raise DocumentError(
            f"no bus number below those of the other expanders is left for PCI controller {expander.index}",
            place="domain/devices/controller/target/@busNr",
            hint="spread the numbers out, from 254 downwards",
        )
    return number
