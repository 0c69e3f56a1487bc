"""Files that a document names, and that must be there before its guest can have them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.host import images


def require(domain: Domain) -> None:
    """Raise HostError for a file of the document that is not there or not ours to read."""
    for what, path in _files(domain):
        if not os.access(path, os.R_OK):
            problem = "cannot be read" if os.path.lexists(path) else "does not exist"
            raise HostError(f"{what}: {path} {problem}", hint="correct the path or the permissions, then try again")


def _files(domain: Domain) -> Iterator[tuple[str, str]]:
    if domain.os.loader and domain.os.loader.path:
        yield "firmware", domain.os.loader.path
    if domain.os.kernel:
        yield "kernel", domain.os.kernel
    if domain.os.initrd:
        yield "initrd", domain.os.initrd
    yield from disks(domain)
    for filesystem in domain.devices.filesystems:
        if filesystem.source and filesystem.source.dir:
            yield "file system", filesystem.source.dir


def disks(domain: Domain) -> Iterator[tuple[str, str]]:
    """What a person calls each disk, and the paths of its images."""
    for disk in domain.devices.disks:
        for path in images.local_paths(disk):
            yield f"disk {disk.target.dev}", path
