"""Disks on the SD bus: boards have the slot built in, so that QEMU takes them only in its oldest form, -drive.

Source: qemuBuildDriveStr of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.disk import DetectZeroes, Disk, DiskCache, DiskDiscard, DiskDriver, DiskIo
from vmherd.conf.domain.storage import StorageFormat, StorageType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import escape


def arguments(disk: Disk) -> list[str]:
    driver = disk.driver or DiskDriver()
    words = [
        *_source(disk),
        "if=sd",
        f"index={_index(disk.target.dev)}",
        *(["readonly=on"] if disk.readonly else []),
        *([f"cache={driver.cache}"] if driver.cache not in (None, DiskCache.DEFAULT) else []),
        *([f"copy-on-read={'on' if driver.copy_on_read else 'off'}"] if driver.copy_on_read is not None else []),
        *([f"discard={driver.discard}"] if driver.discard not in (None, DiskDiscard.DEFAULT) else []),
        *([f"detect-zeroes={_zeroes(driver)}"] if driver.detect_zeroes else []),
        *([f"aio={driver.io}"] if driver.io not in (None, DiskIo.DEFAULT) else []),
    ]
    return ["-drive", ",".join(words)]


def _source(disk: Disk) -> list[str]:
    source = disk.source
    path = (source.file or source.dev) if source else None
    if disk.type not in (StorageType.FILE, StorageType.BLOCK) or not path:
        place = "domain/devices/disk/@type"
        raise Unsupported("a disk on the SD bus is a file or a block device", place=place, hint="use type='file'")
    kind = disk.driver.type if disk.driver else None
    return [f"file={escape(path)}", f"format={kind or StorageFormat.RAW}"]


def _index(name: str) -> int:
    """The number of a disk's name: sda is 0, sdz 25, sdaa 26."""
    number = 0
    for letter in name.removeprefix("sd"):
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _zeroes(driver: DiskDriver) -> DetectZeroes | None:
    unmap = driver.detect_zeroes is DetectZeroes.UNMAP and driver.discard is not DiskDiscard.UNMAP
    return DetectZeroes.ON if unmap else driver.detect_zeroes
