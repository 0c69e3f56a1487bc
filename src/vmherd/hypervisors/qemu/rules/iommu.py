"""The guest's IOMMU.

Source: qemuValidateDomainDeviceDefIOMMU and qemuValidateDomainVCpuTopology of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.iommu import IommuDriver, IommuModel
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities

_PLACE = "domain/devices/iommu"
#: Interrupts of the older kind name a CPU with 8 bits, one value being for all.
_MOST_CPUS = 255
_OPTIONS = {
    "intremap": "intel-iommu.intremap",
    "caching_mode": "intel-iommu.caching-mode",
    "eim": "intel-iommu.eim",
    "iotlb": "intel-iommu.device-iotlb",
    "aw_bits": "intel-iommu.aw-bits",
}
_NEEDED = {IommuModel.INTEL: "intel-iommu", IommuModel.VIRTIO: "virtio-iommu-pci", IommuModel.SMMUV3: "virt.iommu"}


def board(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Each model belongs to some boards."""
    iommu = domain.devices.iommu
    if iommu is None:
        return
    q35, virt = machine.is_q35(domain), machine.is_virt(domain)
    fits = {
        IommuModel.INTEL: (q35, "Q35"),
        IommuModel.SMMUV3: (virt, "ARM's virt"),
        IommuModel.VIRTIO: (q35 or virt, "Q35 and ARM's virt"),
    }
    here, boards = fits[iommu.model]
    if not here:
        text = f"model {str(iommu.model)!r} is only for {boards}, not for {domain.os.type.machine}"
        yield Problem(f"{_PLACE}/@model", text, "use machine='q35', or remove the IOMMU")
    elif _NEEDED[iommu.model] not in caps:
        text = f"{caps.binary} has no IOMMU of model {str(iommu.model)!r}"
        yield Problem(f"{_PLACE}/@model", text, "use another model")
    if isinstance(iommu.address, PciAddress) and iommu.address.bus:
        text = "an IOMMU is part of the root complex, not behind a bridge"
        yield Problem(f"{_PLACE}/address/@bus", text, "use bus='0x00', or remove <address>")


def options(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Options that this binary has, and that go together."""
    iommu = domain.devices.iommu
    driver = (iommu.driver if iommu else None) or IommuDriver()
    for name, flag in _OPTIONS.items():
        if getattr(driver, name) is not None and flag not in caps:
            yield Problem(f"{_PLACE}/driver/@{name}", f"{caps.binary} does not know this option", "remove it")
    ioapic = domain.features.ioapic if domain.features else None
    if driver.intremap and (ioapic is None or ioapic.driver != "qemu"):
        text = "interrupts can only be remapped if QEMU has the I/O APIC"
        yield Problem(f"{_PLACE}/driver/@intremap", text, "add <ioapic driver='qemu'/> to <features>")
    if driver.eim and not driver.intremap:
        yield Problem(f"{_PLACE}/driver/@eim", "it takes interrupt remapping", "add intremap='on'")


def many_cpus(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """More CPUs than interrupts of the older kind can name."""
    found = caps.machine(domain.os.type.machine)
    possible = not found or not found.max_cpus or domain.vcpu.count <= found.max_cpus
    if not machine.is_x86(domain) or domain.vcpu.count <= _MOST_CPUS or not possible:
        return
    iommu = domain.devices.iommu
    if not machine.is_q35(domain):
        yield Problem("domain/vcpu", f"more than {_MOST_CPUS} CPUs take a Q35", "use machine='q35'")
    elif iommu is None or iommu.driver is None or not iommu.driver.eim:
        text = f"more than {_MOST_CPUS} CPUs take an IOMMU with extended interrupts"
        yield Problem("domain/vcpu", text, "add <iommu model='intel'><driver intremap='on' eim='on'/></iommu>")


RULES = (board, options, many_cpus)
