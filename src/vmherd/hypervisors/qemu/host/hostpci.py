"""PCI devices of this host: taking them from their drivers for a guest.

Source: Documentation/driver-api/vfio.rst of Linux.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vmherd.conf.domain.address import HostPciAddress
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.command.device import host_pci
from vmherd.hypervisors.qemu.host.rebind import SYSFS, Taken
from vmherd.util.pci import bind, driver, override

_VFIO = "vfio-pci"
#: Bridges stay with the host: their driver gives nobody access to memory.
_HARMLESS = ("", _VFIO, "pci-stub", "pcieport")


def take(address: HostPciAddress, *, managed: bool, note: Callable[[Taken], None], sysfs: Path = SYSFS) -> None:
    """Bind a device to VFIO's driver.  ``note`` keeps what was, before anything is changed.

    Raises HostError where there is no such device, VFIO cannot have it, or it is not ours to take.
    """
    name = host_pci(address)
    device = sysfs / "bus/pci/devices" / name
    if not device.exists():
        raise HostError(f"there is no PCI device {name} on this host", hint="'lspci -D' lists them")
    if not (device / "iommu_group").exists():
        hint = "turn the IOMMU on in the firmware and on the kernel's command line (intel_iommu=on)"
        raise HostError(f"PCI device {name} cannot be handed on: no IOMMU guards the host's memory from it", hint=hint)
    used_by = driver(device)
    if used_by == _VFIO:
        return
    if not managed:
        hint = "use managed='yes', or bind it to vfio-pci first"
        raise HostError(f"PCI device {name} is in use by the host's driver {used_by or '(none)'}", hint=hint)
    if not (sysfs / "bus/pci/drivers" / _VFIO).exists():
        raise HostError("the kernel's driver vfio-pci is not there", hint="modprobe vfio-pci")
    note(Taken(name, used_by, override(device)))
    bind(device, _VFIO, sysfs)
    if (now := driver(device)) != _VFIO:
        raise HostError(f"PCI device {name} did not go to vfio-pci, but to {now or 'no driver'}", hint="see dmesg")


def check_group(address: HostPciAddress, sysfs: Path = SYSFS) -> None:
    """Raise HostError where the host itself uses a device that the IOMMU cannot tell from this one."""
    name = host_pci(address)
    for each in sorted((sysfs / "bus/pci/devices" / name / "iommu_group/devices").glob("*")):
        used_by = driver(sysfs / "bus/pci/devices" / each.name)
        if used_by not in _HARMLESS:
            text = f"PCI device {name} shares its IOMMU group with {each.name}, which the host's driver {used_by} uses"
            raise HostError(text, hint="hand that device on as well, or move the card to another slot")
