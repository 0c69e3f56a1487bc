"""PCI devices between the host and guests: given to VFIO, given back, reset.

Source: Documentation/driver-api/vfio.rst and Documentation/ABI/testing/sysfs-bus-pci of Linux; virHostdevPCINodeDevice*
of libvirt
"""

from __future__ import annotations

from pathlib import Path

from vmherd.errors import ArgumentUnsupported, HostError, InvalidArgument, OperationUnsupported
from vmherd.resources.nodedev.mdevs import require_unused
from vmherd.resources.nodedev.sysfs import Sysfs
from vmherd.util import pci

_VFIO = "vfio-pci"


def require_driver(name: str) -> None:
    """Raise for what no guest's card can be given to, in libvirt's words."""
    if name == "kvm":
        raise ArgumentUnsupported("KVM device assignment is no longer supported on this system", hint="use vfio")
    if name not in ("", "vfio"):
        raise InvalidArgument(f"unknown driver name {name!r}", hint="the driver is 'vfio', which may be left out")


def has_vfio(sysfs: Sysfs) -> bool:
    return (sysfs.sys / "bus/pci/drivers" / _VFIO).exists()


def detach(sysfs: Sysfs, device: Path) -> None:
    """Take a device from its driver, for VFIO to have.  It is fine if VFIO has it."""
    if not (device / "iommu_group").exists() or not has_vfio(sysfs):
        raise ArgumentUnsupported(
            "VFIO device assignment is currently not supported on this system",
            hint="it takes an IOMMU (intel_iommu=on or amd_iommu=on) and the kernel's driver vfio-pci",
        )
    require_unused(sysfs, device)
    if pci.driver(device) == _VFIO:
        return
    _bind(sysfs, device, _VFIO)
    if (now := pci.driver(device)) != _VFIO:
        raise HostError(
            f"PCI device {device.name} did not go to {_VFIO}, but to {now or 'no driver'}", hint="see dmesg"
        )


def reattach(sysfs: Sysfs, device: Path) -> None:
    """Let the driver that is made for it have a device."""
    require_unused(sysfs, device)
    if pci.driver(device) in ("", _VFIO):
        _bind(sysfs, device, "")


def _bind(sysfs: Sysfs, device: Path, override: str) -> None:
    try:
        pci.bind(device, override, sysfs.sys)
    except OSError as problem:
        raise HostError(
            f"PCI device {device.name} cannot be bound anew: {problem.strerror}", hint="see dmesg"
        ) from None


def find_driver(sysfs: Sysfs, address: str) -> None:
    """Let a device that has lost its driver have the one that is preferred now.  Raises OSError."""
    if not pci.driver(sysfs.sys / "bus/pci/devices" / address):
        (sysfs.sys / "bus/pci/drivers_probe").write_text(address)


def reset(sysfs: Sysfs, device: Path) -> None:
    """Bring a device to the state it has after power-on.  VFIO does that itself with what it has."""
    require_unused(sysfs, device)
    if pci.driver(device) == _VFIO:
        return
    if not (device / "reset").exists():
        raise OperationUnsupported(f"Unable to reset PCI device {device.name}: no FLR, PM reset or bus reset available")
    try:
        (device / "reset").write_text("1")
    except OSError as problem:
        raise HostError(f"PCI device {device.name} cannot be reset: {problem.strerror}", hint="be root") from None
