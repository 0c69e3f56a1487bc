"""PCI devices of this host that guests have: the note of what each had before.

The note is in the guest's folder before anything is changed, so that whoever sees the guest end can give the devices
back, whatever became of who took them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.util.files import write_atomically
from vmherd.util.pci import bind

SYSFS = Path("/sys")
_NOTE = "taken.json"


class Taken(msgspec.Struct, frozen=True):
    """A device that we took: its address, the driver it had, and the driver that was preferred for it."""

    address: str
    driver: str = ""
    override: str = ""


def note(folder: Path, taken: Sequence[Taken]) -> None:
    """Keep what the guest with this folder takes."""
    write_atomically(folder / _NOTE, msgspec.json.encode(taken))


def noted(folder: Path) -> list[Taken]:
    """What the guest with this folder has taken so far."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=list[Taken])
    return []


def give_back_one(folder: Path, address: str, sysfs: Path = SYSFS) -> None:
    """Let the host have one device that the guest with this folder took."""
    found = noted(folder)
    for taken in found:
        if taken.address == address:
            with suppress(OSError, HostError):
                bind(sysfs / "bus/pci/devices" / address, taken.override, sysfs, probe=bool(taken.driver))
            note(folder, [each for each in found if each != taken])


def give_back(folder: Path, sysfs: Path = SYSFS) -> None:
    """Let the host have what the guest with this folder took; a device that is gone by now is no loss."""
    for taken in noted(folder):
        device = sysfs / "bus/pci/devices" / taken.address
        with suppress(OSError, HostError):
            bind(device, taken.override, sysfs, probe=bool(taken.driver))
