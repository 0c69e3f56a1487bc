"""The disks of a SCSI host, as the kernel shows them.

Source: Documentation/scsi in the kernel; scsi_host, scsi_device in sysfs
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.conf.storage import Volume, VolumeType
from vmherd.conf.storage.volume import VolumeTarget
from vmherd.resources.storage import blocks
from vmherd.util.files import on_host

_SYS = Path("/sys")
_SECTOR = 512
#: What kinds of devices are disks: direct access, and CD-ROMs.
_DISKS = ("0", "5")
_ADDRESS = re.compile(r"(\d+):(\d+):(\d+):(\d+)")


class Lun(msgspec.Struct, frozen=True):
    """``node`` is the kernel's name, such as /dev/sda; ``wwid`` what tells the disk from all others, or ""."""

    bus: int
    target: int
    lun: int
    node: str
    size: int
    wwid: str

    @property
    def name(self) -> str:
        """As libvirt calls its volume."""
        return f"unit:{self.bus}:{self.target}:{self.lun}"


def of_host(number: int) -> list[Lun]:
    """Every disk behind a SCSI host, in the order of their addresses.  Blocks."""
    with on_host(f"look at SCSI host {number}"):
        found = [each for each in _all() if each[0] == number]
    return [lun for _, lun in sorted(found, key=lambda each: (each[1].bus, each[1].target, each[1].lun))]


def _all() -> Iterator[tuple[int, Lun]]:
    devices = _SYS / "bus/scsi/devices"
    for path in devices.iterdir() if devices.is_dir() else ():
        match = _ADDRESS.fullmatch(path.name)
        if match and _word(path / "type") in _DISKS:
            with suppress(OSError):  # it goes away just now
                for block in (path / "block").iterdir():
                    host, bus, target, lun = map(int, match.groups())
                    size = int(_word(block / "size") or 0) * _SECTOR
                    yield host, Lun(bus, target, lun, f"/dev/{block.name}", size, _word(path / "wwid"))


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def rescan(number: int) -> None:
    """Let a host look for disks that are new.  Blocks."""
    with on_host(f"scan SCSI host {number}"):
        (_SYS / f"class/scsi_host/host{number}/scan").write_text("- - -")


def volumes(number: int, folder: str) -> dict[str, Volume]:
    """The disks of a host as volumes of a pool whose target path is ``folder``.  Blocks."""
    return {lun.name: _volume(lun, folder) for lun in of_host(number)}


def _volume(lun: Lun, folder: str) -> Volume:
    path = blocks.stable_path(folder, lun.node)
    return Volume(
        type=VolumeType.BLOCK,
        name=lun.name,
        key=lun.wwid or path,
        capacity=lun.size,
        allocation=lun.size,
        physical=lun.size,
        target=VolumeTarget(path=path),
    )
