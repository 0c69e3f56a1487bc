"""Wiping volumes that no path of this host leads to: QEMU writes the zeros, or the server does.

Source: "write" in qemu-io(1)
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import ArgumentUnsupported
from vmherd.resources.storage import credentials
from vmherd.resources.storage.works import Work
from vmherd.util import command

#: The name of the object with the password, for whatever opens the volume.
KEY = "wipe0"
#: Bytes at a time: how far it is, and whether it is still wanted, is known in between.
_STEP = 256 << 20


async def wipe(
    node: Mapping[str, str], size: int, algorithm: WipeAlgorithm, work: Work, *, secret: bytes | None = None
) -> None:
    """Make ``size`` bytes zeros of what QEMU opens as ``node``.

    Raises ArgumentUnsupported for any other pattern; a server may keep what is overwritten anyway.
    """
    if algorithm not in (WipeAlgorithm.ZERO, WipeAlgorithm.TRIM):
        raise ArgumentUnsupported(f"wiping by {algorithm.name.lower()} is not offered here", hint="'zero' is")
    what = "discard" if algorithm is WipeAlgorithm.TRIM else "write -z"
    image = "json:" + json.dumps({"driver": "raw", "file": dict(node)})
    work.total = size
    with credentials.in_memory("password", secret or b"") as file:
        login = ["--object", f"secret,id={KEY},file={file}"] if secret is not None else []
        for at in range(0, size, _STEP):
            words = ["-c", f"{what} {at} {min(_STEP, size - at)}"]
            argv = [*command.WITH_US, "qemu-io", *login, *words, image]
            await command.run(argv, patience=600, package="qemu-utils qemu-block-extra")
            work.tick(at)
