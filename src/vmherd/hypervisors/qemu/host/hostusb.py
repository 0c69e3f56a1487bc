"""USB devices of this host: which one a document means.

Source: virHostdevFindUSBDevice of libvirt; Documentation/ABI/stable/sysfs-bus-usb of Linux.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vmherd.conf.domain.hostdev import HostUsbAddress, UsbSource
from vmherd.conf.domain.storage import StartupPolicy
from vmherd.errors import HostError

SYSFS = Path("/sys")
DEVICES = Path("/dev/bus/usb")


class _Found(NamedTuple):
    vendor: int
    product: int
    bus: int
    device: int


def find(source: UsbSource, sysfs: Path = SYSFS) -> HostUsbAddress | None:
    """Where the device is now; None if it is missing and may be.

    Raises HostError if it is missing, or several are alike.
    """
    matching = [each for each in _all(sysfs) if _matches(source, each)]
    if len(matching) == 1:
        return HostUsbAddress(bus=matching[0].bus, device=matching[0].device)
    if matching:
        places = ", ".join(f"bus {each.bus} device {each.device}" for each in matching)
        raise HostError(f"{len(matching)} USB devices are {_told(source)}: {places}", hint="name one with <address>")
    if source.startup_policy is StartupPolicy.OPTIONAL:
        return None
    raise HostError(f"there is no USB device {_told(source)} on this host", hint="plug it in; 'lsusb' lists them")


def check_access(address: HostUsbAddress, devices: Path = DEVICES) -> None:
    """Raise HostError where we may not use a device."""
    path = devices / f"{address.bus:03d}" / f"{address.device:03d}"
    if not os.access(path, os.R_OK | os.W_OK):
        problem = "may not be used by us" if path.exists() else "does not exist"
        raise HostError(f"{path} {problem}", hint="be root, or give yourself access with a udev rule")


def _all(sysfs: Path) -> Iterator[_Found]:
    for folder in sorted((sysfs / "bus/usb/devices").glob("*")):
        try:
            vendor, product = (int((folder / name).read_text(), 16) for name in ("idVendor", "idProduct"))
            bus, device = (int((folder / name).read_text()) for name in ("busnum", "devnum"))
        except (OSError, ValueError):
            continue  # an interface of a device, or one that was just unplugged
        yield _Found(vendor, product, bus, device)


def _matches(source: UsbSource, found: _Found) -> bool:
    if source.address and (source.address.bus, source.address.device) != (found.bus, found.device):
        return False
    told = [each.id if each else None for each in (source.vendor, source.product)]
    return all(want in (None, have) for want, have in zip(told, (found.vendor, found.product), strict=True))


def _told(source: UsbSource) -> str:
    words = []
    if source.vendor and source.product:
        words.append(f"{source.vendor.id:04x}:{source.product.id:04x}")
    if source.address:
        words.append(f"at bus {source.address.bus} device {source.address.device}")
    return " ".join(words)
