"""A demo guest with QEMU's agent in it: the agent's package and the libraries it needs, in a second archive."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from vmherd.guest import debian
from vmherd.guest.demo import DemoGuest
from vmherd.guest.initramfs import Node, file, folder, pack

_PROGRAM = "usr/sbin/qemu-ga"
#: What the agent sets passwords with; this one only writes down what it was told.
_CHPASSWD = '#!/bin/sh\n{ echo "$@"; cat; } > /run/chpasswd\n'


async def with_agent(demo: DemoGuest, place: Path) -> DemoGuest:
    """The demo guest with ``qemu-ga``, which whoever logs in can start."""
    package = await debian.download("qemu-guest-agent", place)
    program = next(content for _, content in debian.extract(package, lambda path: path == _PROGRAM))
    (place / "qemu-ga").write_bytes(program)
    (place / "qemu-ga").chmod(0o755)
    tree: dict[str, Node] = {_PROGRAM: file(program, executable=True), "root/.ssh": folder(0o700)}
    tree["usr/sbin/chpasswd"] = file(_CHPASSWD, executable=True)
    for library in _libraries(place / "qemu-ga"):
        tree[str(library).lstrip("/")] = file(library.read_bytes(), executable=True)
    # Linux unpacks one archive after the other.
    initrd = place / "initrd.gz"
    initrd.write_bytes(demo.initrd.read_bytes() + pack(tree))
    return msgspec.structs.replace(demo, initrd=initrd)


def _libraries(program: Path) -> list[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    if "not found" in said:
        pytest.skip(f"this host lacks libraries of qemu-ga:\n{said}")
    words = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    return [Path(word) for word in dict.fromkeys(words)]
