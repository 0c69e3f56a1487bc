"""The root of a container and what is mounted in it: ``lxc.rootfs`` and ``lxc.mount.entry``."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.filesystem import (
    Filesystem,
    FilesystemDriver,
    FilesystemDriverType,
    FilesystemSource,
    FilesystemTarget,
    FilesystemType,
)
from vmherd.errors import DocumentError
from vmherd.hypervisors.lxc.numbers import size
from vmherd.hypervisors.lxc.settings import Settings

#: Every container of libvirt has these.
_BASIC = frozenset({"/proc", "/proc/sys", "/proc/sys/net/ipv4", "/proc/sys/net/ipv6", "/sys", "/sys/fs/selinux"})


def read(settings: Settings, domain: Domain) -> None:
    """Add the file systems to ``domain``."""
    if settings.one("lxc.mount.fstab", "lxc.mount"):
        raise DocumentError(
            "the file with mounts is not read",
            place="lxc.mount.fstab",
            hint="write each of its lines as lxc.mount.entry = LINE",
        )
    root = settings.one("lxc.rootfs.path", "lxc.rootfs")
    if root is None:
        raise DocumentError("the container has no root", place="lxc.rootfs.path", hint="add lxc.rootfs.path = FOLDER")
    found = domain.devices.filesystems
    found.append(_root(root))
    for entry in settings.all("lxc.mount.entry"):
        if mount := _mount(entry, root):
            found.append(mount)


def _root(value: str) -> Filesystem:
    """A folder, a block device, or with ``loop:`` the image of one; LXC's other back ends are no file systems."""
    kind, colon, path = value.partition(":")
    if not colon or kind.startswith("/"):
        return _filesystem(value, "/")
    if kind == "dir":
        return _filesystem(path, "/")
    if kind == "loop":
        root = _filesystem(path, "/")
        root.type, root.source = FilesystemType.FILE, FilesystemSource(file=path)
        root.driver = FilesystemDriver(type=FilesystemDriverType.LOOP, format="raw")
        return root
    hint = "mount it, and give its folder"
    raise DocumentError(f"a root of kind {kind!r} is not supported", place="lxc.rootfs.path", hint=hint)


def _filesystem(source: str, target: str, *, readonly: bool = False) -> Filesystem:
    block = source.startswith("/dev/")
    return Filesystem(
        type=FilesystemType.BLOCK if block else FilesystemType.MOUNT,
        source=FilesystemSource(dev=source) if block else FilesystemSource(dir=source),
        target=FilesystemTarget(dir=target),
        readonly=readonly,
    )


def _mount(entry: str, root: str) -> Filesystem | None:
    """A line of fstab(5), whose target is inside the root, told relative to it or in full; None for a basic mount."""
    parts = entry.split()
    if len(parts) < 4:
        hint = "write it like SOURCE TARGET TYPE OPTIONS 0 0"
        raise DocumentError(f"{entry!r} is no mount", place="lxc.mount.entry", hint=hint)
    source, target, kind = parts[:3]
    options = parts[3].split(",")
    inside = root.removeprefix("dir:").rstrip("/")
    target = "/" + target.removeprefix(f"{inside}/").lstrip("/")
    if target in _BASIC:
        return None
    if kind == "tmpfs":
        return _memory(entry, target, options)
    return _filesystem(source, target, readonly="ro" in options)


def _memory(entry: str, target: str, options: list[str]) -> Filesystem:
    limits = [option.removeprefix("size=") for option in options if option.startswith("size=")]
    if not limits:
        raise DocumentError(f"{entry!r} has no size", place="lxc.mount.entry", hint="add size=64m to its options")
    return Filesystem(
        type=FilesystemType.RAM,
        source=FilesystemSource(usage=size(limits[0], "lxc.mount.entry"), units="bytes"),
        target=FilesystemTarget(dir=target),
        readonly="ro" in options,
    )
