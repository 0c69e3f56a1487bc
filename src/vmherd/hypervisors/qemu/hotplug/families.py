"""What is special to each family of devices: the arguments that make it, and which of it can come and go.

Source: qemuDomainAttachDeviceLive and qemuDomainDetachDeviceLive of libvirt, and what they call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import UnassignedAddress
from vmherd.conf.domain.chardev import Channel, Console, Parallel, Serial
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.hostdev import Hostdev
from vmherd.conf.domain.input import Input
from vmherd.conf.domain.lease import Lease
from vmherd.conf.domain.memdev import MemoryDevice
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug.fragment import word
from vmherd.conf.domain.redirdev import Redirdev
from vmherd.conf.domain.rng import Rng
from vmherd.conf.domain.shmem import Shmem
from vmherd.conf.domain.vsock import Vsock
from vmherd.conf.domain.watchdog import Watchdog
from vmherd.errors import OperationUnsupported
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import (
    chardev,
    controller,
    disk,
    filesystem,
    hostdev,
    inputs,
    memdev,
    misc,
    net,
    redir,
    shmem,
    vsock,
)
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.hotplug import controllers, disks, small, streams
from vmherd.util.xmlmodel import Element

Arguments = Callable[[Domain, Any, Capabilities, Launch], list[str]]
Check = Callable[[Domain, Any], None]


def _always(_: Domain, __: Element) -> None:
    """Nothing speaks against it."""


@dataclass(frozen=True)
class Family:
    """``arguments`` are those of a device in a view of it alone.

    ``may_come`` and ``may_go`` look at a device in the document of the running guest, and raise what speaks against it.
    """

    arguments: Arguments
    may_come: Check = _always
    may_go: Check = _always


_FAMILIES: dict[type[Element], Family] = {
    Disk: Family(lambda view, _, __, launch: disk.arguments(view, launch), disks.may_come, disks.may_go),
    Controller: Family(
        lambda view, each, _, __: controller.plugged(view, each), controllers.may_come, controllers.may_go
    ),
    Interface: Family(lambda view, _, __, launch: [*net.arguments(view, launch), *hostdev.arguments(view, launch)]),
    Hostdev: Family(lambda view, _, __, launch: hostdev.arguments(view, launch), small.hostdev_may_come),
    Redirdev: Family(lambda view, _, __, launch: redir.arguments(view, launch)),
    Serial: Family(lambda view, _, __, launch: chardev.arguments(view, launch), streams.may_come, streams.may_go),
    Parallel: Family(lambda view, _, __, launch: chardev.arguments(view, launch), streams.may_come, streams.may_go),
    Console: Family(lambda view, _, __, launch: chardev.arguments(view, launch), streams.may_come, streams.may_go),
    Channel: Family(lambda view, _, __, launch: chardev.arguments(view, launch), streams.may_come, streams.may_go),
    Rng: Family(lambda view, _, __, launch: misc.rngs(view, launch)),
    MemoryDevice: Family(
        lambda view, _, caps, launch: memdev.arguments(view, caps, launch), small.module_may_come, small.module_may_go
    ),
    Shmem: Family(lambda view, *_: shmem.arguments(view), small.shmem_may_come, small.shmem_may_go),
    Watchdog: Family(lambda view, *_: misc.watchdog(view), small.watchdog_may_come, small.watchdog_may_go),
    Input: Family(lambda view, *_: inputs.arguments(view), small.input_may_come, small.input_may_go),
    Vsock: Family(lambda view, _, __, launch: vsock.arguments(view, launch)),
    Filesystem: Family(
        lambda view, _, __, launch: filesystem.arguments(view, launch),
        small.filesystem_may_come,
        small.filesystem_may_come,
    ),
}


def family(device: Element, verb: str) -> Family:
    """That of a device.  Raises OperationUnsupported for one that cannot come and go."""
    if isinstance(device, Lease):
        raise OperationUnsupported("there is no lock manager that would hold the lease", hint="change the definition")
    found = _FAMILIES.get(type(device))
    if found is None:
        text = f"live {verb} of device '{word(device)}' is not supported"
        raise OperationUnsupported(text, hint="change the definition, and start the guest anew")
    return found


def is_plugged(device: Element) -> bool:
    """Whether QEMU has a device by this one's alias that can come and go."""
    if isinstance(getattr(device, "address", None), UnassignedAddress):
        return False  # kept from the host and from the guest
    match device:
        case Disk():
            return disks.is_pluggable(device)
        case Controller():
            return controllers.is_pluggable(device)
        case Serial() | Parallel() | Console() | Channel():
            return streams.is_pluggable(device)
        case Input():
            return small.is_pluggable_input(device)
        case Watchdog():
            return small.is_pluggable_watchdog(device)
        case Filesystem():
            return filesystem.is_virtiofs(device)
        case Interface() | Hostdev() | Redirdev() | Rng() | Shmem() | Vsock():
            return True
        case MemoryDevice():
            return small.is_pluggable_module(device)
    return False
