"""A note of the device that is being plugged in, so that whoever comes next can put in order what broke off.

It is there before anything is taken from the host, and gone once the document knows the device.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from vmherd.util.files import write_atomically

_NAME = "plugging.json"


class Note(msgspec.Struct, frozen=True):
    """The device by its name, and its element as text."""

    alias: str
    xml: str


def write(folder: Path, note: Note) -> None:
    write_atomically(folder / _NAME, msgspec.json.encode(note))


def read(folder: Path) -> Note | None:
    """What is being plugged into the guest with this folder, or was when that broke off."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Note)
    except FileNotFoundError:
        return None


def clear(folder: Path) -> None:
    (folder / _NAME).unlink(missing_ok=True)


def is_there(folder: Path) -> bool:
    return (folder / _NAME).exists()
