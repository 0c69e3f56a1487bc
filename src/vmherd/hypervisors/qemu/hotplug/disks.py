"""Disks and drives that come and go: those on virtio, SCSI and USB; of others, what is in a drive changes (``media``).

Source: qemuDomainAttachDeviceDiskLiveInternal and qemuDomainDetachPrepDisk of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk, DiskBus, DiskDevice
from vmherd.errors import OperationFailed, OperationUnsupported

_BUSES = (DiskBus.VIRTIO, DiskBus.SCSI, DiskBus.USB)
DRIVES = (DiskDevice.CDROM, DiskDevice.FLOPPY)
_HINT = "change the definition, and start the guest anew"


def is_pluggable(each: Disk) -> bool:
    return each.target.bus in _BUSES


def may_come(domain: Domain, each: Disk) -> None:
    """Raise for what no guest gets while it runs."""
    if any(there.target.dev == each.target.dev for there in domain.devices.disks):
        raise OperationFailed(f"target {each.target.dev} already exists", hint="choose another <target dev=''/>")
    if each.device in DRIVES and each.target.bus not in (DiskBus.USB, DiskBus.SCSI):
        raise OperationUnsupported("cdrom/floppy device hotplug isn't supported", hint=_HINT)
    if each.device is DiskDevice.LUN and each.target.bus is DiskBus.USB:
        raise OperationUnsupported("disk device='lun' is not supported for usb bus", hint="use bus='scsi'")
    if not is_pluggable(each):
        raise OperationUnsupported(f"disk bus '{each.target.bus}' cannot be hotplugged.", hint=_HINT)
    if each.transient is not None:
        raise OperationUnsupported("transient disk hotplug isn't supported", hint="remove <transient/>")


def may_go(_: Domain, each: Disk) -> None:
    """Raise for what no guest lets go while it runs."""
    if each.device in DRIVES and each.target.bus not in (DiskBus.USB, DiskBus.SCSI):
        raise OperationUnsupported(f"disk device type '{each.device}' cannot be detached", hint=_HINT)
    if not is_pluggable(each):
        raise OperationUnsupported("This type of disk cannot be hot unplugged", hint=_HINT)
    if each.mirror is not None:
        text = f"disk '{each.target.dev}' is in an active block job"
        raise OperationFailed(text, hint="end the job first")
