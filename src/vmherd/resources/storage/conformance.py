"""The commands of pools and volumes as conformance cases ask for them."""

from __future__ import annotations

from vmherd.conf.storage import parse_pool, parse_volume
from vmherd.conformance import Case
from vmherd.resources.storage import activate
from vmherd.resources.storage.qemuimg import Image, commands

#: Files with passphrases, where the cases have them.
_SECRET, _SOURCE_SECRET = "/path/to/secretFile", "/path/to/inputSecretFile"


def pools(case: Case) -> list[str]:
    """What starts a pool."""
    return activate.command(parse_pool(case.input))


def volumes(case: Case) -> list[list[str]]:
    """What makes a volume, from another one where that comes along."""
    need_capacity = not {"parse-no-capacity", "parse-opt-capacity"} & set(case.flags)
    volume = parse_volume(case.input, parse_pool(case.aux["pool"]), need_capacity=need_capacity)
    image = Image(volume=volume, path=volume.target.path or "", secret=_SECRET)
    source = None
    if "inputvol" in case.aux:
        original = parse_volume(case.aux["inputvol"], parse_pool(case.aux["inputpool"]), need_capacity=False)
        source = Image(volume=original, path=original.target.path or "", secret=_SOURCE_SECRET)
        volume.capacity = volume.capacity or original.capacity
    return commands(image, source, metadata="prealloc-metadata" in case.flags)
