"""What a guest's agent tells of the inside of the guest, as libvirt tells it.

The guest may tell anything: each answer is checked against a class derived from ``Told``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

#: What fits where libvirt's clients have room for it.
Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Told(msgspec.Struct, frozen=True, rename="kebab"):
    """An object in an answer; its names are those of QEMU's qga/qapi-schema.json."""


class HostName(Told, frozen=True):
    host_name: str
