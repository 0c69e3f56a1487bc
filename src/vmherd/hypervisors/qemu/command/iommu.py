"""The guest's IOMMU; that of ARM's board is a word of ``-machine``.

Source: qemuBuildIOMMUCommandLine of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.iommu import IommuDriver, IommuModel
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device


def arguments(domain: Domain) -> list[str]:
    """The device, before all those whose memory access it translates."""
    iommu = domain.devices.iommu
    if iommu is None or iommu.model is IommuModel.SMMUV3:
        return []
    if iommu.model is IommuModel.VIRTIO:
        return device({"driver": "virtio-iommu", "id": alias(iommu), **bus(iommu, domain)})
    return device({"driver": "intel-iommu", "id": alias(iommu), **_intel(iommu.driver or IommuDriver())})


def _intel(driver: IommuDriver) -> Properties:
    """The first and third are on, off or auto for QEMU, which are words in JSON."""
    words = {True: "on", False: "off", None: None}
    return {
        "intremap": words[driver.intremap],
        "caching-mode": driver.caching_mode,
        "eim": words[driver.eim],
        "device-iotlb": driver.iotlb,
        "aw-bits": driver.aw_bits,
    }


def machine_words(domain: Domain) -> list[str]:
    """That of ARM's board."""
    iommu = domain.devices.iommu
    return ["iommu=smmuv3"] if iommu and iommu.model is IommuModel.SMMUV3 else []
