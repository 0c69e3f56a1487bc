"""What is on a device already, so that nothing is overwritten by accident.

Source: wipefs(8)
"""

from __future__ import annotations

import os

import msgspec

from vmherd.errors import InvalidState, PoolBuilt
from vmherd.util import command

_PACKAGE = "util-linux"


class _Signature(msgspec.Struct):
    type: str


class _Answer(msgspec.Struct):
    signatures: list[_Signature] = []


async def found_on(device: str) -> list[str]:
    """The kinds of file systems, partition tables and the like whose marks are there: "ext4", "gpt", "LVM2_member"."""
    text = await command.run(["wipefs", "--no-act", "--json", device], package=_PACKAGE)
    return [each.type for each in msgspec.json.decode(text or "{}", type=_Answer).signatures]


async def require_blank(device: str, wanted: str) -> None:
    """Raise PoolBuilt if anything is on a device where ``wanted`` shall be made."""
    found = await found_on(device)
    if wanted in found:
        text = f"Device '{device}' already formatted using '{wanted}'"
        raise PoolBuilt(text, hint="start the pool; building it with 'overwrite' removes everything on the device")
    if found:
        text = f"Format of device '{device}' does not match the expected format '{wanted}'"
        hint = f"it has {', '.join(found)}: check that nobody needs it, then build with 'overwrite'"
        raise PoolBuilt(f"{text}, forced overwrite is necessary", hint=hint)


async def erase(device: str) -> None:
    """Remove all marks, so that the device counts as blank.  Raises HostError while it is in use."""
    await command.run(["wipefs", "--all", "--quiet", device], package=_PACKAGE)


def require_device(path: str, pool: str | None) -> None:
    """Raise InvalidState where there is no such device or file."""
    if not os.path.isabs(path) or not os.path.exists(path):
        text = f"Source device does not exist when formatting pool '{pool}'"
        raise InvalidState(text, hint=f"check that {path} is there")
