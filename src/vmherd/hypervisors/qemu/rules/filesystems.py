"""What the file systems of QEMU guests cannot be.

Source: qemuValidateDomainDeviceDefFS of libvirt
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.filesystem import (
    AccessMode,
    Filesystem,
    FilesystemDriver,
    FilesystemDriverType,
    FilesystemModel,
    FilesystemType,
    MultiDevs,
)
from vmherd.conf.domain.problem import numbered
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.filesystem import is_virtiofs
from vmherd.hypervisors.qemu.rules import sharing

_KNOWN = (None, FilesystemDriverType.PATH, FilesystemDriverType.HANDLE, FilesystemDriverType.VIRTIOFS)


def filesystems(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """QEMU shares folders; images are disks."""
    for number, each in numbered(domain.devices.filesystems):
        place = f"domain/devices/filesystem[{number}]"
        driver = each.driver or FilesystemDriver()
        if each.type is not FilesystemType.MOUNT:
            hint = "use type='mount', or a <disk>"
            yield Problem(f"{place}/@type", f"QEMU guests have no file systems of type {each.type}", hint)
        if driver.type not in _KNOWN:
            yield Problem(f"{place}/driver/@type", f"QEMU has no driver {str(driver.type)!r}", "use 'virtiofs'")
        if each.target is None or not each.target.dir:
            yield Problem(f"{place}/target", "the guest has no name to mount it by", "add <target dir='NAME'/>")
        yield from _virtiofs(domain, each, place, caps) if is_virtiofs(each) else _plan9(each, place)


def _plan9(each: Filesystem, place: str) -> Iterator[Problem]:
    driver = each.driver or FilesystemDriver()
    if each.source is None or not each.source.dir:
        yield Problem(f"{place}/source", "the folder is missing", "add <source dir='/...'/>")
    for name in ("fmode", "dmode"):
        if getattr(each, name) and each.accessmode is not AccessMode.MAPPED:
            text = "modes of new files are chosen only where they are mapped"
            yield Problem(f"{place}/@{name}", text, "add accessmode='mapped'")
    if each.boot is not None:
        yield Problem(f"{place}/boot", "no guest boots from 9p", "use <driver type='virtiofs'/>")
    if driver.queue is not None:
        yield Problem(f"{place}/driver/@queue", "only virtiofs has it", "remove it")
    if each.binary is not None:
        yield Problem(f"{place}/binary", "QEMU serves 9p itself", "remove it, or use <driver type='virtiofs'/>")


def _virtiofs(domain: Domain, each: Filesystem, place: str, caps: Capabilities) -> Iterator[Problem]:
    driver, source = each.driver or FilesystemDriver(), each.source
    if caps.flags and "vhost-user-fs" not in caps:
        yield Problem(f"{place}/driver/@type", f"{caps.binary} has no virtiofs", "leave <driver> out, for 9p")
    if each.accessmode is not AccessMode.PASSTHROUGH:
        yield Problem(f"{place}/@accessmode", "virtiofs passes rights through", "use accessmode='passthrough'")
    if each.readonly:
        text = "virtiofs cannot keep a guest from writing"
        yield Problem(f"{place}/readonly", text, "leave <driver> out, for 9p; or mount it read-only in the guest")
    if each.multidevs not in (None, MultiDevs.DEFAULT):
        yield Problem(f"{place}/@multidevs", "virtiofs tells devices apart by itself", "remove it")
    for name in ("fmode", "dmode"):
        if getattr(each, name):
            yield Problem(f"{place}/@{name}", "virtiofs leaves modes to the guest", "remove it")
    for name in ("format", "wrpolicy"):
        if getattr(driver, name):
            yield Problem(f"{place}/driver/@{name}", "virtiofs has none", "remove it")
    if each.model not in (None, FilesystemModel.VIRTIO):
        yield Problem(f"{place}/@model", "virtiofs devices are of virtio 1 only", "leave model out")
    if source is None or bool(source.dir) == bool(source.socket):
        text = "either a folder is served, or a process that serves one is named"
        yield Problem(f"{place}/source", text, "add <source dir='/...'/>")
    elif source.socket and each.binary is not None:
        yield Problem(f"{place}/binary", "the process runs already", "remove it, or name the folder")
    yield from sharing.required(domain, "a virtiofs file system")


def not_here_yet(domain: Domain) -> Iterator[Problem]:
    """What this host cannot serve."""
    for number, each in numbered(domain.devices.filesystems):
        place = f"domain/devices/filesystem[{number}]"
        if each.driver and each.driver.type is FilesystemDriverType.HANDLE:
            yield Problem(f"{place}/driver/@type", "QEMU has given up the driver 'handle'", "use type='path'")
        if is_virtiofs(each) and not (each.source and each.source.socket) and os.geteuid() != 0:
            text = "virtiofsd can be started by root only"
            yield Problem(f"{place}/driver/@type", text, "leave <driver> out, for 9p, or use qemu:///system")


RULES = (filesystems,)
