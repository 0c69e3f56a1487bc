"""PCI devices of this host: which driver has each, and which one shall.

Source: Documentation/ABI/testing/sysfs-bus-pci of Linux
"""

from __future__ import annotations

import errno
from pathlib import Path

from vmherd.errors import HostError


def bind(device: Path, override: str, sysfs: Path, *, probe: bool = True) -> None:
    """Take a device from its driver, and let the one that is preferred have it.  Raises HostError without rights."""
    old = driver(device)
    try:
        # A line break takes the preference away.
        (device / "driver_override").write_text(f"{override}\n")
        if old:
            (sysfs / "bus/pci/drivers" / old / "unbind").write_text(device.name)
        if probe:
            (sysfs / "bus/pci/drivers_probe").write_text(device.name)
    except OSError as problem:
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            text = f"taking PCI device {device.name} from the host needs rights that we do not have"
            raise HostError(text, hint="use qemu:///system as root") from None
        raise


def driver(device: Path) -> str:
    """The driver that has a device, "" if none has."""
    link = device / "driver"
    return link.readlink().name if link.is_symlink() else ""


def override(device: Path) -> str:
    """The driver that is preferred for a device, "" if none is."""
    told = (device / "driver_override").read_text().strip()
    return "" if told == "(null)" else told
