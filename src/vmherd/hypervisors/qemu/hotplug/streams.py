"""Character devices that come and go: channels and consoles on virtio, serial ports on PCI and USB.

Source: qemuDomainAttachChrDeviceAssignAddr and qemuDomainDetachDeviceChr of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import (
    Channel,
    ChannelTargetType,
    Console,
    ConsoleTargetType,
    Parallel,
    Serial,
    SerialTargetType,
)
from vmherd.errors import OperationUnsupported

_HINT = "use a channel or a console on virtio, or a serial port with target type='pci-serial' or 'usb-serial'"


def is_pluggable(each: Serial | Parallel | Console | Channel) -> bool:
    match each:
        case Serial():
            kind = each.target.type if each.target else None
            return kind in (SerialTargetType.PCI, SerialTargetType.USB)
        case Console():
            return each.target is not None and each.target.type is ConsoleTargetType.VIRTIO
        case Channel():
            return each.target.type is ChannelTargetType.VIRTIO
    return False


def may_come(_: Domain, each: Serial | Parallel | Console | Channel) -> None:
    if not is_pluggable(each):
        raise OperationUnsupported("Unsupported address type for character device", hint=_HINT)


def may_go(_: Domain, each: Serial | Parallel | Console | Channel) -> None:
    if not is_pluggable(each):
        kind = type(each).__xml__.tag
        raise OperationUnsupported(f"this {kind} is part of the machine and cannot be detached", hint=_HINT)
