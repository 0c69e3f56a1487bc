"""The host itself, and devices with little to tell: graphics, mediated devices, vDPA, channels of IBM Z."""

from __future__ import annotations

import re

from vmherd.conf.nodedev.common import IommuGroup
from vmherd.conf.nodedev.kinds import (
    ApCard,
    ApMatrix,
    ApQueue,
    Ccw,
    ChannelAddress,
    Css,
    Drm,
    DrmType,
    FirmwareOfHost,
    Hardware,
    Mdev,
    MdevKind,
    System,
    Vdpa,
)
from vmherd.resources.nodedev.pci import mdev_types
from vmherd.resources.nodedev.sysfs import Node, Sysfs, names

_NO_UUID = "00000000-0000-0000-0000-000000000000"
_CHANNEL = re.compile(r"([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]{4})")
#: The drivers of subchannels that lead to something.
_LEADING = ("io_subchannel", "vfio_ccw")


def system(sysfs: Sysfs) -> System:
    """What the firmware tells of the host.  Source: Documentation/ABI/testing/sysfs-firmware-dmi-tables of Linux."""
    dmi = sysfs.node(sysfs.sys / "class/dmi/id")
    return System(
        product=dmi.text("product_name") or None,
        hardware=Hardware(
            vendor=dmi.text("sys_vendor") or None,
            version=dmi.text("product_version") or None,
            serial=dmi.text("product_serial") or None,
            uuid=(dmi.text("product_uuid") or _NO_UUID).lower(),
        ),
        firmware=FirmwareOfHost(
            vendor=dmi.text("bios_vendor") or None,
            version=dmi.text("bios_version") or None,
            release_date=dmi.text("bios_date") or None,
        ),
    )


def graphics(node: Node) -> Drm | None:
    """A file of a graphics card; those of connectors are no devices."""
    if node.type != "drm_minor":
        return None
    for start, kind in (("card", DrmType.PRIMARY), ("controlD", DrmType.CONTROL), ("renderD", DrmType.RENDER)):
        if node.name.startswith(start):
            return Drm(kind=kind)
    return None


def mediated(node: Node) -> Mdev | None:
    kind, group = node.target("mdev_type"), node.target("iommu_group")
    if not kind:
        return None
    return Mdev(
        kind=MdevKind(id=kind),
        uuid=node.name,
        parent_address=node.path.parent.name,
        iommu_group=IommuGroup(number=int(group) if group.isdigit() else 0),
    )


def vdpa(node: Node) -> Vdpa:
    for name in names(node.path):
        if name.startswith("vhost-vdpa-"):
            return Vdpa(chardev=f"/dev/{name}")
    return Vdpa()


def channel_device(node: Node) -> Ccw | None:
    match = _CHANNEL.fullmatch(node.name)
    if match is None:
        return None
    cssid, ssid, devno = (int(part, 16) for part in match.groups())
    return Ccw(cssid=cssid, ssid=ssid, devno=devno)


def subchannel(node: Node) -> Css | None:
    match = _CHANNEL.fullmatch(node.name)
    if match is None or node.driver not in _LEADING:
        return None
    cssid, ssid, devno = (int(part, 16) for part in match.groups())
    css = Css(cssid=cssid, ssid=ssid, devno=devno, mdev_types=mdev_types(node))
    if device := _CHANNEL.fullmatch(node.text("dev_busid") or ""):
        cssid, ssid, devno = (int(part, 16) for part in device.groups())
        css.channel = ChannelAddress(cssid=cssid, ssid=ssid, devno=devno)
    return css


def adjunct(node: Node) -> ApCard | ApQueue | None:
    """A cryptographic card, or a queue of one."""
    if match := re.fullmatch(r"card([0-9a-f]{2})", node.name):
        return ApCard(adapter=int(match[1], 16))
    if match := re.fullmatch(r"([0-9a-f]{2})\.([0-9a-f]{4})", node.name):
        return ApQueue(adapter=int(match[1], 16), domain=int(match[2], 16))
    return None


def matrix(node: Node) -> ApMatrix:
    return ApMatrix(mdev_types=mdev_types(node))
