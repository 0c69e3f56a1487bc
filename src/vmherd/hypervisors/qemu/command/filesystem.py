"""Folders of the host that a guest mounts: by 9p, which QEMU serves itself, or by virtiofs, which another process does.

Source: "-fsdev" in QEMU's manual; qemuBuildFilesystemCommandLine of libvirt.
"""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.filesystem import AccessMode, Filesystem, FilesystemDriver, FilesystemDriverType, MultiDevs
from vmherd.hypervisors.qemu.command import vhostuser
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, escape, virtio, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch

_SECURITY = {AccessMode.SQUASH: "none", AccessMode.MAPPED: "mapped", AccessMode.PASSTHROUGH: "passthrough"}


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every file system in document order."""
    args: list[str] = []
    for each in domain.devices.filesystems:
        args += _virtiofs(domain, each, launch) if is_virtiofs(each) else _plan9(domain, each)
    return args


def is_virtiofs(each: Filesystem) -> bool:
    return each.driver is not None and each.driver.type is FilesystemDriverType.VIRTIOFS


def socket(each: Filesystem, folder: Path) -> Path:
    """Where our process that serves it listens."""
    return folder / f"{alias(each)}-fs.sock"


def _virtiofs(domain: Domain, each: Filesystem, launch: Launch) -> list[str]:
    end: Properties = {
        **_end(each, "vhost-user-fs"),
        "chardev": vhostuser.line(each),
        "queue-size": (each.driver.queue or None) if each.driver else None,
        "tag": _tag(each),
        "bootindex": each.boot.order if each.boot else None,
    }
    told = each.source.socket if each.source else None
    path = told or launch.reach(socket(each, launch.folder))
    return vhostuser.connection(each, path) + device({**end, **bus(each, domain)})


def _plan9(domain: Domain, each: Filesystem) -> list[str]:
    name = f"fsdev-{alias(each)}"
    end: Properties = {**_end(each, "virtio-9p"), "fsdev": name, "mount_tag": _tag(each)}
    return ["-fsdev", _shared_folder(each, name), *device({**end, **bus(each, domain)})]


def _end(each: Filesystem, kind: str) -> Properties:
    return {"driver": virtio_name(kind, each.model, each), **virtio(each.driver), "id": alias(each)}


def _tag(each: Filesystem) -> str | None:
    return each.target.dir if each.target else None


def _shared_folder(each: Filesystem, name: str) -> str:
    driver = each.driver or FilesystemDriver()
    words = ["handle"] if driver.type is FilesystemDriverType.HANDLE else _local(each)
    words += [f"writeout={driver.wrpolicy}"] if driver.wrpolicy else []
    words += [f"id={name}", f"path={escape(_path(each))}"]
    words += ["readonly=on"] if each.readonly else []
    return ",".join(words)


def _local(each: Filesystem) -> list[str]:
    """Whose rights files get, and what becomes of a folder that spans devices."""
    words = ["local", f"security_model={_SECURITY[each.accessmode]}"]
    words += [f"multidevs={each.multidevs}"] if each.multidevs not in (None, MultiDevs.DEFAULT) else []
    words += [f"fmode={each.fmode}"] if each.fmode else []
    return words + ([f"dmode={each.dmode}"] if each.dmode else [])


def _path(each: Filesystem) -> str:
    return (each.source.dir if each.source else None) or ""
