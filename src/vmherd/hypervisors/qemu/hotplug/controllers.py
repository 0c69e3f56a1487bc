"""Controllers that come and go: those of SCSI.

Source: qemuDomainAttachControllerDevice and qemuDomainDetachPrepController of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.hostdev import HostdevType
from vmherd.errors import OperationFailed, OperationUnsupported

_HINT = "change the definition, and start the guest anew"


def is_pluggable(each: Controller) -> bool:
    return each.type is ControllerType.SCSI


def may_come(domain: Domain, each: Controller) -> None:
    if not is_pluggable(each):
        raise OperationUnsupported(f"'{each.type}' controller cannot be hot plugged.", hint=_HINT)
    same = [there for there in domain.devices.controllers if there.type is each.type]
    if each.index is not None and any(there.index == each.index for there in same):
        raise OperationFailed(f"target {each.type}:{each.index} already exists", hint="leave index out")


def may_go(domain: Domain, each: Controller) -> None:
    if not is_pluggable(each):
        raise OperationUnsupported(f"'{each.type}' controller cannot be hot unplugged.", hint=_HINT)
    places = [disk.address for disk in domain.devices.disks if disk.target.bus is DiskBus.SCSI]
    places += [hostdev.address for hostdev in domain.devices.hostdevs if hostdev.type is HostdevType.SCSI]
    if any(isinstance(place, DriveAddress) and place.controller == each.index for place in places):
        raise OperationFailed("device cannot be detached: device is busy", hint="detach its disks first")
