"""A look at what a guest has in its memory and on its raw disks.

Source: memsave and pmemsave in QEMU's qapi/machine.json; qemuDomainMemoryPeek and qemuDomainBlockPeek of libvirt.
"""

from __future__ import annotations

import os
from pathlib import Path

from vmherd.errors import ArgumentUnsupported, HostError, InvalidArgument
from vmherd.hypervisors.qemu.folders import PIDFILE
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.outline import DiskOutline
from vmherd.util.files import own_like

#: Bytes that one look takes at most (REMOTE_DOMAIN_MEMORY_PEEK_BUFFER_MAX, REMOTE_DOMAIN_BLOCK_PEEK_BUFFER_MAX).
MOST = 4 << 20


def require_size(size: int) -> None:
    """Raise InvalidArgument for more than one look takes."""
    if not 0 <= size <= MOST:
        raise InvalidArgument(f"size {size} is not in the range of 0 to {MOST}", hint="look at it in parts")


async def memory(monitor: Monitor, folder: Path, address: int, size: int, *, physical: bool) -> bytes:
    """A part of the guest's memory, by way of a file in ``folder``, where it is gone with the guest at the latest."""
    path = folder / f"peek-{os.urandom(8).hex()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        own_like(path, folder / PIDFILE)  # QEMU opens it, whoever it runs as
        command = "pmemsave" if physical else "memsave"
        await monitor.execute(command, {"val": address, "size": size, "filename": str(path)})
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def block(disk: DiskOutline, offset: int, size: int) -> bytes:
    """A part of an image that the document calls raw.  Blocks as long as the host does.

    Raises ArgumentUnsupported for another one, InvalidArgument beyond its end, HostError if it cannot be read.
    """
    if disk.format != "raw":
        text = f"peeking is only supported for disk with 'raw' format not '{disk.format}'"
        raise ArgumentUnsupported(text, hint="qemu-img and qemu-io read other formats")
    if not disk.path or disk.kind not in ("file", "block"):
        raise ArgumentUnsupported(f"the image of {disk.target} is not on this host", hint="look where it is")
    try:
        fd = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            data = os.pread(fd, size, offset)
        finally:
            os.close(fd)
    except OSError as problem:
        hint = "check the path and its permissions"
        raise HostError(f"cannot read {disk.path}: {problem.strerror}", hint=hint) from None
    if len(data) < size:
        raise InvalidArgument(f"{disk.path} has no {size} bytes from {offset} on", hint="'domblkinfo' tells its size")
    return data
