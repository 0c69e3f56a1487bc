"""Stand-ins that several tests share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

from vmherd.conf.domain.hostdev import ScsiSource
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.video import Video
from vmherd.hypervisors.qemu.command.netdev import queues


class Numbers:
    """Numbers in place of open descriptors; those of network cards and host devices count from 201 on."""

    def __init__(self) -> None:
        self._numbers = count(201)

    def listen(self, _: Path) -> int:
        return 101

    def output(self, _: Path, *, append: bool) -> int:
        return 102 if append else 103

    def log(self, _: Path, *, append: bool) -> int:
        return 104 if append else 105

    def tpm(self, _: Path) -> int:
        return 106

    def tpm_cancel(self, _: Path) -> int:
        return 107

    def vsock(self, cid: int | None) -> tuple[int, int]:
        return 108, cid or 3

    def gpu(self, _: Video) -> int:
        return 109

    def tap(self, interface: Interface) -> Sequence[int]:
        return list(islice(self._numbers, queues(interface) or 1))

    vhost_net = tap

    def vdpa(self, _: Interface) -> int:
        return next(self._numbers)

    def passt(self, _: Interface) -> Path:
        return Path("/run/guest/passt.sock")

    def vhost_scsi(self) -> int:
        return next(self._numbers)

    def scsi_generic(self, _: ScsiSource) -> str:
        return "/dev/sg3"
