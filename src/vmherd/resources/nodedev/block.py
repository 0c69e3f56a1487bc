"""Disks and drives.  Source: udevProcessStorage of libvirt; 60-persistent-storage.rules of udev."""

from __future__ import annotations

from vmherd.conf.nodedev.kinds import Removable, Storage
from vmherd.resources.nodedev.sysfs import Node

#: The kernel counts in these, whatever a disk's blocks are.
_SECTOR = 512
#: Kinds of disks that are known by their names, where udev does not tell.
_KINDS = {"vd": "disk", "nvme": "disk", "dasd": "dasd", "xvd": "disk"}
#: Of SCSI: numbers of the SCSI Primary Commands standard.
_SCSI_KINDS = {0: "disk", 5: "cd", 7: "disk", 14: "disk"}
_REMOVABLE = {"cd": "cdrom", "floppy": "floppy", "sd": "sd"}


def describe(node: Node) -> Storage | None:
    """None for partitions, and for what is made of other devices: loops, volumes, arrays."""
    file = node.file
    kind = _kind(node)
    if node.type != "disk" or file is None or kind is None:
        return None
    storage = Storage(
        block=file,
        bus=node.known("ID_BUS"),
        drive_type=_REMOVABLE.get(kind, kind),
        model=node.text("device/model") or None,
        vendor=node.text("device/vendor") or None,
        serial=serial(node),
    )
    size = (node.number("size") or 0) * _SECTOR
    logical = node.number("queue/logical_block_size") or _SECTOR
    if kind in _REMOVABLE:
        storage.capabilities.append(_media(node, kind, size, logical))
    else:
        storage.size, storage.logical_block_size, storage.num_blocks = size, logical, size // logical
    return storage


def _kind(node: Node) -> str | None:
    """What udev calls it; where there is no udev, what it surely is."""
    if told := node.known("ID_TYPE"):
        return "sd" if node.known("ID_DRIVE_FLASH_SD") == "1" else told
    for key, kind in (("ID_DRIVE_FLOPPY", "floppy"), ("ID_CDROM", "cd"), ("ID_DRIVE_FLASH_SD", "sd")):
        if node.known(key) == "1":
            return kind
    by_name = node.name.rstrip("0123456789np") if node.name.startswith("nvme") else node.name
    for start, kind in _KINDS.items():
        if by_name.startswith(start):
            return kind
    number = node.number("device/type") if node.name.startswith(("sd", "sr")) else None
    return _SCSI_KINDS.get(number) if number is not None else None


def serial(node: Node) -> str | None:
    """The serial number, as it is part of the device's name; where there is no udev, as udev would tell it."""
    if told := node.known("ID_SERIAL"):
        return told
    if own := node.text("serial"):  # of virtio
        return own
    model, number = node.text("device/model"), node.text("device/serial")
    return f"{model}_{number}".replace(" ", "_") if model and number else None


def _media(node: Node, kind: str, size: int, logical: int) -> Removable:
    there = kind == "sd" or node.known("ID_CDROM_MEDIA") == "1" or (node.known("ID_CDROM") is None and size > 0)
    label = node.known("ID_FS_LABEL") if there else None
    if not there:
        return Removable(media_available=0, media_size=0)
    return Removable(
        media_available=1,
        media_size=size,
        media_label=label,
        logical_block_size=logical,
        num_blocks=size // logical,
    )
