"""What QEMU inherits from a start: sockets, files, devices of the host, locks of ports; and helpers beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from vmherd.conf.domain.video import Video
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.helpers import gpuhelper
from vmherd.hypervisors.qemu.host import ports
from vmherd.util.sockets import fits, listen_unix

#: VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h: _IOW(0xAF, 0x60, __u64).
_SET_CID = 0x4008AF60
VSOCK = Path("/dev/vhost-vsock")
#: The host is 2 (vsock(7)); context ids have 32 bits, and the last one stands for any.
FIRST_CID = 3
_CIDS = range(FIRST_CID, 0xFFFFFFFF)


def cancel_file(tpm: Path) -> Path:
    """Where a command of the host's TPM is ended; a TPM 2.0 has no such file, and QEMU writes into the void."""
    found = Path("/sys/class/tpm") / tpm.name / "device/cancel"
    return found if found.exists() else Path(os.devnull)


class Resources:
    """Everything opened is in ``inherited``, and closed here when ``ours`` is: QEMU has it by then.

    ``folder`` is the guest's, ``port_locks`` where ports are locked; helpers write to ``log``.
    """

    def __init__(self, ours: ExitStack, *, folder: Path, port_locks: Path, log: int) -> None:
        self.inherited: list[int] = []
        self._ours = ours
        self._folder = folder
        self._port_locks = port_locks
        self._log = log

    def inherit(self, fd: int) -> int:
        """Hand on what somebody else opened."""
        self.inherited.append(fd)
        self._ours.callback(os.close, fd)
        return fd

    def _open(self, path: Path, flags: int) -> int:
        try:
            return self.inherit(os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o600))
        except OSError as problem:
            raise HostError(f"cannot open {path}: {problem.strerror}", hint="correct the path or its rights") from None

    def port(self, candidates: Iterable[int], address: str) -> int:
        """A free TCP port, ours while QEMU lives."""
        port, fd = ports.reserve(self._port_locks, candidates, address)
        self.inherit(fd)
        return port

    def listen(self, path: Path) -> int:
        return self.inherit(listen_unix(path).detach())

    def reach(self, path: Path) -> str:
        """A name of a socket that fits into an address: QEMU has no other way to one deep down."""
        if fits(path):
            return str(path)
        folder = self._open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{folder}/{path.name}"

    def output(self, path: Path, *, append: bool) -> int:
        return self._open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC))

    def log(self, path: Path, *, append: bool) -> int:
        return self.output(path, append=append)

    def tpm(self, path: Path) -> int:
        return self._open(path, os.O_RDWR)

    def tpm_cancel(self, path: Path) -> int:
        return self._open(cancel_file(path), os.O_WRONLY)

    def vsock(self, cid: int | None) -> tuple[int, int]:
        if not VSOCK.exists():
            raise HostError(f"there is no {VSOCK}, which a <vsock> needs", hint="modprobe vhost_vsock, as root")
        fd = self._open(VSOCK, os.O_RDWR)
        for number in _CIDS if cid is None else [cid]:
            try:
                fcntl.ioctl(fd, _SET_CID, struct.pack("=Q", number))
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise HostError(f"context id {number}: {problem.strerror}", hint="use <cid auto='yes'/>") from None
            else:
                return fd, number
        raise HostError("the context id of the guest's vsock is taken", hint="use <cid auto='yes'/>")

    def gpu(self, video: Video) -> int:
        return self.inherit(gpuhelper.start(video, self._folder, self._log).detach())
