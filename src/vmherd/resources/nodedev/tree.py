"""Every device of the host, by the names that libvirt gives them, each on the one it is plugged into.

Source: src/node_device/node_device_udev.c of libvirt
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from vmherd.conf.nodedev import Device
from vmherd.conf.nodedev.device import Devnode, DriverOfHost, NodeKind
from vmherd.conf.nodedev.kinds import ApMatrix, Net, Storage
from vmherd.driver.nodedev import DeviceInfo
from vmherd.resources.nodedev import block, net, other, pci, scsi, usb
from vmherd.resources.nodedev.sysfs import Node, Sysfs
from vmherd.util.xmlmodel import Element

ROOT = "computer"

#: The folders of sysfs with devices in them, and who describes those.
_FAMILIES: dict[str, Callable[[Node], Any]] = {
    "bus/pci/devices": pci.describe,
    "bus/usb/devices": usb.describe,
    "bus/scsi/devices": scsi.describe,
    "bus/mdev/devices": other.mediated,
    "bus/vdpa/devices": other.vdpa,
    "bus/ccw/devices": other.channel_device,
    "bus/css/devices": other.subchannel,
    "bus/ap/devices": other.adjunct,
    "bus/matrix/devices": other.matrix,
    "class/net": net.describe,
    "class/block": block.describe,
    "class/scsi_generic": scsi.generic,
    "class/drm": other.graphics,
}
#: Those whose devices udev renames, or whose serial numbers it tells.
_NAMED_BY_UDEV = ("class/net", "class/block")
#: What a device can do more than its own kind tells, by libvirt's words for lists.
_MORE = {"fc_host": "fc_host", "vport_ops": "vports", "mdev_types": "mdev_types", "vpd": "vpd"}
_NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z]")


class Found(msgspec.Struct):
    """A device: how lists show it, where it is, and who describes it.  ``path`` is None for the host itself."""

    info: DeviceInfo
    device: Device
    path: Path | None = None
    family: str = ""


class Tree(msgspec.Struct):
    """The devices by name, and the names of those in sysfs by their folders."""

    devices: dict[str, Found]
    places: dict[Path, str]


def scan(sysfs: Sysfs) -> Tree:
    """Look at all devices.  It reads thousands of small files: call it in a thread."""
    computer = Device(name=ROOT, capability=other.system(sysfs))
    found = {ROOT: Found(DeviceInfo(name=ROOT, capabilities=("system",), persistent=True, autostart=True), computer)}
    places: dict[Path, str] = {}
    watched = sysfs.is_watched
    for folder in _FAMILIES:
        for node in sysfs.listed(folder):
            if watched and folder in _NAMED_BY_UDEV and not node.is_looked_at:
                continue  # it comes with another name in a moment
            if device := _describe(node, folder):
                assert device.name is not None  # `_describe` gives one
                found[device.name] = Found(DeviceInfo(name=device.name), device, node.path, folder)
                places[node.path] = device.name
    for each in found.values():
        if each.path:
            _plug(each, places)
    return Tree(found, places)


def look(found: Found, sysfs: Sysfs) -> Device:
    """A device as it is now; as it was found if it is gone since."""
    if found.path is None:
        return Device(name=ROOT, capability=other.system(sysfs))
    now = _describe(sysfs.node(found.path), found.family)
    if now is None:
        return found.device
    now.name, now.parent = found.info.name, found.info.parent
    return now


def _describe(node: Node, folder: str) -> Device | None:
    capability = _FAMILIES[folder](node)
    if capability is None:
        return None
    device = Device(name=_name(node, capability), path=node.place, capability=capability)
    if node.file:
        device.devnodes = [Devnode(type=NodeKind.DEV, path=node.file)]
        device.devnodes += [Devnode(type=NodeKind.LINK, path=link) for link in node.links]
    if driver := node.driver:
        device.driver = DriverOfHost(name=driver)
    return device


def _name(node: Node, capability: object) -> str:
    """The subsystem, the name in sysfs, and what tells it from one that takes its place."""
    match capability:
        case ApMatrix():  # there is just one
            return "ap_matrix"
        case Net(address=str(address)):
            more = f"_{address}"
        case Storage(serial=str(serial)):
            more = f"_{serial}"
        case _ if node.subsystem == "mdev":
            more = f"_{node.path.parent.name}"
        case _:
            more = ""
    return plain(f"{node.subsystem}_{node.name}{more}")


def plain(name: str) -> str:
    """Letters and digits; an underscore stands for everything else."""
    return _NOT_IN_A_NAME.sub("_", name)


def _plug(found: Found, places: dict[Path, str]) -> None:
    """Find what a device is on: the nearest folder above it that is a device."""
    assert found.path is not None
    parent = next((places[folder] for folder in found.path.parents if folder in places), ROOT)
    found.device.parent = parent
    found.info = msgspec.structs.replace(found.info, parent=parent, capabilities=_words(found.device))


def _words(device: Device) -> tuple[str, ...]:
    """What it can do, as lists name it: its kind, and more."""
    kind = device.capability
    assert kind is not None
    parts = [*getattr(kind, "capabilities", ()), getattr(kind, "mdev_types", None)]
    inner = [_word(part) for part in parts if part is not None]
    return (_word(kind), *(_MORE[word] for word in inner if word in _MORE))


def _word(capability: Element) -> str:
    """The type that the document gives a capability."""
    when = type(capability).__xml__.when
    assert when is not None  # all capabilities are told apart by their type
    return when[1]
