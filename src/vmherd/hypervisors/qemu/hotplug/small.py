"""Which devices of the smaller families come and go."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.hostdev import Hostdev, HostdevMode
from vmherd.conf.domain.input import Input, InputBus
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.conf.domain.shmem import Shmem, ShmemModel
from vmherd.conf.domain.watchdog import Watchdog, WatchdogModel
from vmherd.errors import InvalidState, OperationUnsupported
from vmherd.hypervisors.qemu.command import filesystem

_HINT = "change the definition, and start the guest anew"


def is_pluggable_input(each: Input) -> bool:
    return each.bus in (InputBus.USB, InputBus.VIRTIO)


def input_may_come(_: Domain, each: Input) -> None:
    """Source: qemuDomainAttachInputDevice of libvirt"""
    if not is_pluggable_input(each):
        raise OperationUnsupported(f"input device on bus '{each.bus}' cannot be hot plugged.", hint="use bus='usb'")


def input_may_go(_: Domain, each: Input) -> None:
    if not is_pluggable_input(each):
        raise OperationUnsupported(f"input device on bus '{each.bus}' cannot be detached", hint=_HINT)


def is_pluggable_watchdog(each: Watchdog) -> bool:
    return each.model is WatchdogModel.I6300ESB


def watchdog_may_come(domain: Domain, each: Watchdog) -> None:
    """Source: qemuDomainAttachWatchdog of libvirt"""
    if domain.devices.watchdog:
        raise InvalidState("domain already has a watchdog", hint="detach that first")
    if not is_pluggable_watchdog(each):
        text = f"hotplug of watchdog of model {each.model} is not supported"
        raise OperationUnsupported(text, hint="use model='i6300esb'")


def watchdog_may_go(_: Domain, each: Watchdog) -> None:
    if not is_pluggable_watchdog(each):
        raise OperationUnsupported(f"hot unplug of watchdog of model {each.model} is not supported", hint=_HINT)


def shmem_may_come(_: Domain, each: Shmem) -> None:
    """Source: qemuDomainAttachShmemDevice of libvirt"""
    if each.model is None or each.model.type is ShmemModel.IVSHMEM:
        text = "live attach of shmem model 'ivshmem' is not supported"
        raise OperationUnsupported(text, hint="use <model type='ivshmem-plain'/>")


def shmem_may_go(_: Domain, each: Shmem) -> None:
    if each.model is None or each.model.type is ShmemModel.IVSHMEM:
        raise OperationUnsupported("live detach of shmem model 'ivshmem' is not supported", hint=_HINT)


def filesystem_may_come(_: Domain, each: Filesystem) -> None:
    """Source: qemuDomainAttachFSDevice of libvirt"""
    if not filesystem.is_virtiofs(each):
        text = "only virtiofs filesystems can be hotplugged"
        raise OperationUnsupported(text, hint="use <driver type='virtiofs'/>")


def hostdev_may_come(_: Domain, each: Hostdev) -> None:
    """Source: qemuDomainAttachHostDevice of libvirt"""
    if each.mode is not HostdevMode.SUBSYSTEM:
        text = f"hotplug is not supported for hostdev mode '{each.mode}'"
        raise OperationUnsupported(text, hint="use mode='subsystem'")


def is_pluggable_module(each: MemoryDevice) -> bool:
    return each.model is not MemoryModel.SGX_EPC


def module_may_come(_: Domain, each: MemoryDevice) -> None:
    if not is_pluggable_module(each):
        raise OperationUnsupported("hotplug is not supported for memory model 'sgx-epc'", hint=_HINT)


def module_may_go(_: Domain, each: MemoryDevice) -> None:
    """Source: qemuDomainDetachPrepMemory of libvirt"""
    if not is_pluggable_module(each):
        raise OperationUnsupported(f"memory device of model {each.model} cannot be detached", hint=_HINT)
